#include "models/text/jinja_chat.h"

#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace csreft {
namespace {

std::string render(const std::string& name, const JinjaForm& form, std::span<const Message> messages,
                   bool add_generation_prompt) {
  nlohmann::ordered_json variables{{"messages", nlohmann::ordered_json::array()},
                                   {"tools", nullptr},
                                   {"documents", nullptr},
                                   {"add_generation_prompt", add_generation_prompt}};
  for (const auto& [role, content] : messages) {
    variables["messages"].push_back(nlohmann::ordered_json{{"role", role}, {"content", content}});
  }
  for (const auto& [token, text] : form.special_tokens) variables[token] = text;
  try {
    return form.text.render(variables);
  } catch (const Error& error) {
    fail("the chat template '{}', {}", name, error.what());
  }
}

std::string render(const JinjaChat& chat, std::span<const Message> messages, bool add_generation_prompt) {
  return render(chat.name, chat.form, messages, add_generation_prompt);
}

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

struct TurnEnd {
  std::int32_t id;
  std::size_t behind;  // where its text ends
};

// The first token in a text that is more than text.
std::optional<TurnEnd> find_turn_end(const Tokenizer& tokenizer, std::string_view text) {
  for (const auto id : tokenizer.encode(text)) {
    const auto token = tokenizer.bytes(id);
    const bool is_mark = token.size() > 2 && token.starts_with('<') && token.ends_with('>');
    if (token.empty() || !(tokenizer.is_special(id) || is_mark)) continue;
    const std::size_t at = text.find(token);
    if (at != text.npos) return TurnEnd{id, at + token.size()};
  }
  return std::nullopt;
}

// Where the content ends in what the template wrote for a turn: a template may trim it, or leave its thinking out.
std::size_t end_of_content(std::string_view written, std::string_view content) {
  const std::size_t thinking = content.rfind("</think>");
  const auto answer = thinking == content.npos ? content : content.substr(thinking + 8);
  for (const auto sought : {content, trimmed(content), trimmed(answer)}) {
    if (const std::size_t at = written.find(sought); at != written.npos) return at + sought.size();
  }
  return 0;
}

// One assistant's turn in the text of a conversation.
struct Turn {
  std::string prompt;  // up to the response
  std::string text;    // up to the response's end
  bool has_end = false;
};

Turn find_turn(const JinjaChat& chat, std::span<const Message> messages) {
  Turn turn{render(chat, messages.first(messages.size() - 1), true), render(chat, messages, false)};
  if (!turn.text.starts_with(turn.prompt)) return turn;
  const auto written = std::string_view(turn.text).substr(turn.prompt.size());
  const std::size_t content = end_of_content(written, messages.back().content);
  const auto end = find_turn_end(chat.tokenizer, written.substr(content));
  turn.has_end = end.has_value();
  turn.text.resize(turn.prompt.size() + content + (end ? end->behind : 0));
  return turn;
}

void append(std::vector<std::int32_t>& ids, std::span<const std::int32_t> more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

bool starts_with(std::span<const std::int32_t> ids, std::span<const std::int32_t> start) {
  return start.size() <= ids.size() && std::ranges::equal(ids.first(start.size()), start);
}

// The ids of `text` behind those of its first `done` bytes. As they are in the whole, where a token ends there; or else
// those of the rest alone, without the space that some tokenizers put in front of a text.
void append_rest(std::vector<std::int32_t>& ids, std::string_view text, std::size_t done, const Tokenizer& tokenizer) {
  const auto whole = tokenizer.encode(text);
  if (starts_with(whole, ids)) return append(ids, std::span(whole).subspan(ids.size()));
  const auto rest = text.substr(done);
  const auto newline = tokenizer.encode("\n"), behind_newline = tokenizer.encode("\n" + std::string(rest));
  if (tokenizer.has_leading_space() && starts_with(behind_newline, newline)) {
    return append(ids, std::span(behind_newline).subspan(newline.size()));
  }
  append(ids, tokenizer.encode(rest));
}

std::int32_t require_eos(const JinjaChat& chat) {
  require(chat.tokenizer.eos().has_value(),
          "the chat template '{}' ends a response with no token of the model's tokenizer, which names no EOS either: "
          "expected an EOS",
          chat.name);
  return *chat.tokenizer.eos();
}

}  // namespace

std::vector<std::int32_t> encode_jinja_prompt(const JinjaChat& chat, std::span<const Message> messages) {
  return chat.tokenizer.encode(render(chat, messages, true));
}

EncodedConversation encode_jinja_conversation(const JinjaChat& chat, std::span<const Message> messages) {
  require(!messages.empty() && messages.back().role == "assistant",
          "a conversation does not end with a message of 'assistant': expected its answer to be learnt");
  const Turn last = find_turn(chat, messages);
  require(last.text.starts_with(last.prompt),
          "the chat template '{}' writes an answer in another way than behind the prompt that it asks for it with: "
          "expected a template whose text of a conversation begins with the prompt, or another by --chat-template",
          chat.name);
  std::vector<Turn> turns;
  for (std::size_t i = 0; i + 1 < messages.size(); ++i) {
    if (messages[i].role != "assistant" || i == 0) continue;
    Turn turn = find_turn(chat, messages.first(i + 1));
    const std::size_t before = turns.empty() ? 0 : turns.back().text.size();
    const bool stays = turn.text.starts_with(turn.prompt) && last.prompt.starts_with(turn.text);
    if (stays && turn.prompt.size() >= before) turns.push_back(std::move(turn));
  }
  turns.push_back(last);

  EncodedConversation out;
  std::size_t done = 0;
  for (const auto& turn : turns) {
    append_rest(out.ids, turn.prompt, done, chat.tokenizer);
    const auto begin = static_cast<std::int64_t>(out.ids.size());
    append_rest(out.ids, turn.text, turn.prompt.size(), chat.tokenizer);
    done = turn.text.size();
    const bool is_last = &turn == &turns.back();
    if (is_last && !turn.has_end) out.ids.push_back(require_eos(chat));
    out.responses.emplace_back(begin, static_cast<std::int64_t>(out.ids.size()));
  }
  return out;
}

std::int32_t jinja_response_end(const JinjaChat& chat) {
  const std::vector<Message> messages{{"user", "question"}, {"assistant", "answer"}};
  const std::string text = render(chat, messages, false);
  const std::size_t answer = text.rfind("answer");
  const auto end = answer == text.npos ? std::nullopt : find_turn_end(chat.tokenizer, text.substr(answer));
  return end ? end->id : require_eos(chat);
}

std::string jinja_own_system_message(const std::string& name, const JinjaForm& form) {
  const std::string system = "a system message", user = "a user message";
  const auto written = [&](std::vector<Message> messages) {
    try {
      return render(name, form, messages, true);
    } catch (const Error&) {
      return std::string();  // refused: then there is nothing to compare
    }
  };
  const std::string with = written({{"system", system}, {"user", user}}), without = written({{"user", user}});
  const std::size_t at = with.find(system);
  if (at == with.npos) return "";
  const auto before = with.substr(0, at), behind = with.substr(at + system.size());
  const bool has_place =
      without.size() >= before.size() + behind.size() && without.starts_with(before) && without.ends_with(behind);
  if (!has_place) return "";
  std::string_view own = std::string_view(without).substr(0, without.size() - behind.size());
  const auto bos = form.special_tokens.find("bos_token");
  if (bos != form.special_tokens.end() && own.starts_with(bos->second)) own.remove_prefix(bos->second.size());
  return std::string(trimmed(own));
}

}  // namespace csreft
