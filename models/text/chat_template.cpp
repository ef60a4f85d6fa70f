#include "models/text/chat_template.h"

#include <fmt/ranges.h>

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/json_file.h"

namespace csreft {
namespace {

std::string joined(std::string_view instruction, std::string_view input) {
  return input.empty() ? std::string(instruction) : fmt::format("{}\n{}", instruction, input);
}

std::string chatml_prompt(std::string_view system, std::string_view instruction, std::string_view input) {
  const auto turns = system.empty() ? "" : fmt::format("<|im_start|>system\n{}<|im_end|>\n", system);
  return fmt::format("{}<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n", turns, joined(instruction, input));
}

std::string llama2_prompt(std::string_view system, std::string_view instruction, std::string_view input) {
  const auto setting = system.empty() ? "" : fmt::format("<<SYS>>\n{}\n<</SYS>>\n\n", system);
  return fmt::format("[INST] {}{} [/INST]", setting, joined(instruction, input));
}

std::string chatml_next(std::string_view instruction) {
  return fmt::format("\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n", instruction);
}

std::string llama2_next(std::string_view instruction) { return fmt::format("[INST] {} [/INST]", instruction); }

std::string alpaca_next(std::string_view instruction) {
  return fmt::format("\n\n### Instruction:\n{}\n\n### Response:", instruction);
}

std::string bare_next(std::string_view instruction) { return fmt::format("\n\n{}", instruction); }

// Stanford Alpaca's two prompts; a system message takes the place of their first paragraph.
std::string alpaca_prompt(std::string_view system, std::string_view instruction, std::string_view input) {
  constexpr std::string_view alone =
      "Below is an instruction that describes a task. Write a response that appropriately completes the request.";
  constexpr std::string_view paired =
      "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
      "response that appropriately completes the request.";
  const auto opening = !system.empty() ? system : input.empty() ? alone : paired;
  const auto context = input.empty() ? "" : fmt::format("### Input:\n{}\n\n", input);
  return fmt::format("{}\n\n### Instruction:\n{}\n\n{}### Response:", opening, instruction, context);
}

std::string bare_prompt(std::string_view system, std::string_view instruction, std::string_view input) {
  const auto opening = system.empty() ? "" : fmt::format("{}\n\n", system);
  return opening + joined(instruction, input);
}

constexpr ChatTemplate templates[] = {
    {"chatml", chatml_prompt, chatml_next, "<|im_start|>", "<|im_end|>", false},
    {"llama2", llama2_prompt, llama2_next, "", "", true},
    {"alpaca", alpaca_prompt, alpaca_next, "", "", false},
    {"none", bare_prompt, bare_next, "", "", false},
};

std::string known_names() {
  std::vector<std::string_view> names;
  for (const auto& chat : templates) names.push_back(chat.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

// The id of a special token, if the tokenizer recognises it in text.
std::optional<std::int32_t> find_special(const Tokenizer& tokenizer, std::string_view token) {
  const auto ids = tokenizer.encode(token);
  if (ids.size() != 1 || tokenizer.bytes(ids[0]) != token) return std::nullopt;
  return ids[0];
}

std::int32_t require_special(const ChatTemplate& chat, const Tokenizer& tokenizer, std::string_view token) {
  const auto id = find_special(tokenizer, token);
  require(id.has_value(), "the chat template '{}' needs the token {}, which the model's tokenizer lacks: expected {}",
          chat.name, token, "a template that fits the model (" + known_names() + ")");
  return *id;
}

std::int32_t response_end(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  if (!chat.turn_end.empty()) return require_special(chat, tokenizer, chat.turn_end);
  require(tokenizer.eos().has_value(),
          "the chat template '{}' ends a response with EOS, which the model's tokenizer does not name: expected an EOS",
          chat.name);
  return *tokenizer.eos();
}

void append_prompt(std::vector<std::int32_t>& ids, std::string_view text, const Tokenizer& tokenizer, bool with_bos) {
  if (with_bos) ids.push_back(*tokenizer.bos());
  const auto encoded = tokenizer.encode(text);
  ids.insert(ids.end(), encoded.begin(), encoded.end());
}

// The turns of a conversation without its system message. Throws Error unless user and assistant take turns from the
// user's first to `last`'s.
std::span<const Message> require_turns(std::span<const Message> messages, std::string_view last) {
  const std::string_view order = "expected one system message or none, then user and assistant by turns";
  const bool has_system = !messages.empty() && messages.front().role == "system";
  const auto turns = messages.subspan(has_system ? 1 : 0);
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const std::string_view expected = i % 2 == 0 ? "user" : "assistant";
    require(turns[i].role == expected, "message {} of a conversation is of '{}', not of '{}': {}",
            i + (has_system ? 2 : 1), printable(turns[i].role), expected, order);
  }
  require(!turns.empty() && turns.back().role == last, "a conversation does not end with a message of '{}': {}", last,
          order);
  return turns;
}

EncodedConversation encode_turns(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                 std::span<const Message> messages, std::string_view last) {
  const auto turns = require_turns(messages, last);
  const std::string_view system = turns.size() < messages.size() ? std::string_view(messages.front().content) : "";
  EncodedConversation out{encode_prompt(chat, tokenizer, system, turns.front().content, ""), {}};
  for (std::size_t i = 1; i < turns.size(); ++i) {
    if (turns[i].role == "user") {
      append_prompt(out.ids, chat.next_prompt(turns[i].content), tokenizer, chat.bos_each_turn && tokenizer.adds_bos());
      continue;
    }
    const auto response = encode_response(chat, tokenizer, turns[i].content);
    const auto begin = static_cast<std::int64_t>(out.ids.size());
    out.responses.emplace_back(begin, begin + static_cast<std::int64_t>(response.size()));
    out.ids.insert(out.ids.end(), response.begin(), response.end());
  }
  return out;
}

}  // namespace

std::span<const ChatTemplate> chat_templates() { return templates; }

std::shared_ptr<const ChatTemplate> find_chat_template(std::string_view name) {
  for (const auto& chat : templates) {
    if (chat.name == name) return std::make_shared<ChatTemplate>(chat);
  }
  fail("unknown chat template '{}': expected one of {}", name, known_names());
}

std::shared_ptr<const ChatTemplate> choose_chat_template(std::string_view jinja, const Tokenizer& tokenizer) {
  if (jinja.empty()) {
    const auto chatml = find_chat_template("chatml");
    const bool has_turns = find_special(tokenizer, chatml->turn_start) && find_special(tokenizer, chatml->turn_end);
    return has_turns ? chatml : find_chat_template("alpaca");
  }
  if (jinja.find("<|im_start|>") != jinja.npos) return find_chat_template("chatml");
  if (jinja.find("[INST]") != jinja.npos) return find_chat_template("llama2");
  fail("the model's chat template is of no known kind: expected one of {} to be chosen by name", known_names());
}

std::string read_chat_template(const std::filesystem::path& folder) {
  if (const auto file = folder / "chat_template.jinja"; std::filesystem::exists(file)) return read_text_file(file);
  const auto path = folder / "tokenizer_config.json";
  if (!std::filesystem::exists(path)) return "";
  const auto config = read_json_object(path);
  const auto found = config.find("chat_template");
  if (found == config.end() || !found->is_array()) {
    return find_json<std::string>(config, "chat_template", path.string()).value_or("");
  }
  for (const auto& entry : *found) {
    require(entry.is_object(), "{}: `chat_template` holds {}: expected objects", path.string(), entry.type_name());
    if (get_json<std::string>(entry, "name", path.string()) == "default") {
      return get_json<std::string>(entry, "template", path.string());
    }
  }
  fail("{}: `chat_template` has no 'default': expected a text, or a list of templates with one of that name",
       path.string());
}

std::vector<std::int32_t> encode_prompt(const ChatTemplate& chat, const Tokenizer& tokenizer, std::string_view system,
                                        std::string_view instruction, std::string_view input) {
  for (const auto token : {chat.turn_start, chat.turn_end}) {
    if (!token.empty()) require_special(chat, tokenizer, token);
  }
  std::vector<std::int32_t> ids;
  append_prompt(ids, chat.prompt(system, instruction, input), tokenizer, tokenizer.adds_bos());
  return ids;
}

std::vector<std::int32_t> encode_prompt(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                        std::span<const Message> messages) {
  return encode_turns(chat, tokenizer, messages, "user").ids;
}

EncodedConversation encode_conversation(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                        std::span<const Message> messages) {
  return encode_turns(chat, tokenizer, messages, "assistant");
}

std::vector<std::int32_t> encode_response(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                          std::string_view output) {
  auto ids = tokenizer.encode(output);
  ids.push_back(response_end(chat, tokenizer));
  return ids;
}

std::vector<std::int32_t> stop_tokens(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  std::vector<std::int32_t> stops{response_end(chat, tokenizer)};
  if (tokenizer.eos() && *tokenizer.eos() != stops[0]) stops.push_back(*tokenizer.eos());
  return stops;
}

}  // namespace csreft
