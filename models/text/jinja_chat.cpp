#include "models/text/jinja_chat.h"

#include <algorithm>
#include <ctime>
#include <optional>

#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace csreft {
namespace {

std::string render(const std::string& name, const JinjaForm& form, std::span<const Message> messages,
                   bool add_generation_prompt, std::time_t now) {
  nlohmann::ordered_json variables{{"messages", nlohmann::ordered_json::array()},
                                   {"tools", nullptr},
                                   {"documents", nullptr},
                                   {"add_generation_prompt", add_generation_prompt}};
  for (const auto& [role, content] : messages) {
    variables["messages"].push_back(nlohmann::ordered_json{{"role", role}, {"content", content}});
  }
  for (const auto& [token, text] : form.special_tokens) variables[token] = text;
  try {
    return form.text.render(variables, now);
  } catch (const Error& error) {
    fail("the chat template '{}', {}", name, error.what());
  }
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

// What a template writes of a question and its answer, whatever the answer is.
struct Frame {
  std::string prompt;          // that asks for the answer
  std::string before, behind;  // the answer; empty where it is left out
  bool has_answer = false;     // it is not left out
};

std::string render_answer(const JinjaChat& chat, std::string_view answer, std::time_t now) {
  const std::vector<Message> messages{{"user", "question"}, {"assistant", std::string(answer)}};
  return render(chat.name, chat.form, messages, false, now);
}

// The answer's place is where the texts of two answers differ, which have no character in common at either end.
Frame find_frame(const JinjaChat& chat, std::time_t now) {
  const std::vector<Message> question{{"user", "question"}};
  Frame frame{render(chat.name, chat.form, question, true, now), "", ""};
  const std::string one = render_answer(chat, "one", now), other = render_answer(chat, "two", now);
  frame.has_answer = one != other;
  if (!frame.has_answer) return frame;
  frame.before.assign(one.begin(), std::ranges::mismatch(one, other).in1);
  frame.behind.assign(std::mismatch(one.rbegin(), one.rend(), other.rbegin(), other.rend()).first.base(), one.end());
  return frame;
}

// What stands between two texts in a whole; nothing unless it begins and ends with them.
std::optional<std::string_view> between(std::string_view whole, std::string_view before, std::string_view behind) {
  const bool has_both =
      whole.size() >= before.size() + behind.size() && whole.starts_with(before) && whole.ends_with(behind);
  if (!has_both) return std::nullopt;
  return whole.substr(before.size(), whole.size() - before.size() - behind.size());
}

// What follows the prompt, up to the answer's end: as the template writes it. Where the template does not write it
// behind that prompt (DeepSeek-R1's opens the thinking there, and leaves thinking out of what was said): the answer,
// without what the prompt has begun of it.
std::string behind_prompt(const Frame& frame, std::string_view whole, std::string_view answer) {
  if (frame.has_answer) {
    if (const auto written = between(whole, frame.prompt, frame.behind)) return std::string(*written);
    if (between(whole, frame.before, frame.behind) == trimmed(answer)) answer = trimmed(answer);
  }
  const std::string_view prompt = frame.prompt, before = frame.before;
  if (before.starts_with(prompt)) return std::string(before.substr(prompt.size())).append(answer);
  if (!frame.has_answer || !prompt.starts_with(before)) return std::string(answer);
  const auto opening = prompt.substr(before.size());
  for (const auto begun : {opening, trimmed(opening)}) {
    if (answer.starts_with(begun)) return std::string(answer.substr(begun.size()));
  }
  return std::string(answer);
}

bool starts_with(std::span<const std::int32_t> ids, std::span<const std::int32_t> start) {
  return start.size() <= ids.size() && std::ranges::equal(ids.first(start.size()), start);
}

// The ids of `text` behind those of its first `done` bytes. As they are in the whole, where a token ends there; or else
// those of the rest alone, without the space that some tokenizers put in front of a text.
std::vector<std::int32_t> encode_rest(std::string_view text, std::size_t done, const Tokenizer& tokenizer) {
  const auto behind = [](const std::vector<std::int32_t>& ids, const std::vector<std::int32_t>& start) {
    return std::vector<std::int32_t>(ids.begin() + std::ssize(start), ids.end());
  };
  const auto whole = tokenizer.encode(text), before = tokenizer.encode(text.substr(0, done));
  if (starts_with(whole, before)) return behind(whole, before);
  const auto rest = text.substr(done);
  const auto newline = tokenizer.encode("\n"), behind_newline = tokenizer.encode("\n" + std::string(rest));
  if (tokenizer.has_leading_space() && starts_with(behind_newline, newline)) return behind(behind_newline, newline);
  return tokenizer.encode(rest);
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
  return chat.tokenizer.encode(render(chat.name, chat.form, messages, true, std::time(nullptr)));
}

std::vector<std::int32_t> encode_jinja_response(const JinjaChat& chat, std::string_view output) {
  const std::time_t now = std::time(nullptr);
  const Frame frame = find_frame(chat, now);
  const auto end = find_turn_end(chat.tokenizer, frame.behind);
  const std::string text = frame.prompt + behind_prompt(frame, render_answer(chat, output, now), output) +
                           frame.behind.substr(0, end ? end->behind : 0);
  auto ids = encode_rest(text, frame.prompt.size(), chat.tokenizer);
  if (!end) ids.push_back(require_eos(chat));
  return ids;
}

std::int32_t jinja_response_end(const JinjaChat& chat) {
  const auto end = find_turn_end(chat.tokenizer, find_frame(chat, std::time(nullptr)).behind);
  return end ? end->id : require_eos(chat);
}

std::string jinja_own_system_message(const std::string& name, const JinjaForm& form) {
  const std::string system = "a system message", user = "a user message";
  const auto written = [&](std::vector<Message> messages) {
    try {
      return render(name, form, messages, true, std::time(nullptr));
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
