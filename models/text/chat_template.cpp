#include "models/text/chat_template.h"

#include <algorithm>
#include <optional>

#include <fmt/ranges.h>

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "models/text/jinja_chat.h"

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

const std::vector<ChatTemplate>& templates() {
  static const std::vector<ChatTemplate> all{
      {"chatml", "chatml", BuiltInForm{chatml_prompt, chatml_next, "<|im_start|>", "<|im_end|>", false}},
      {"llama2", "llama2", BuiltInForm{llama2_prompt, llama2_next, "", "", true}},
      {"alpaca", "alpaca", BuiltInForm{alpaca_prompt, alpaca_next, "", "", false}},
      {"none", "none", BuiltInForm{bare_prompt, bare_next, "", "", false}},
  };
  return all;
}

// The hash of SmolLM2-Instruct's template, which puts a system message of its own in front where there is none.
constexpr std::uint64_t smollm2_template = 0x45ec583d4d25bc3aULL;

// Not a text as templates are: one line without a tag.
bool is_plain_name(std::string_view source) { return source.find('{') == source.npos; }

std::string known_names() {
  std::vector<std::string_view> names;
  for (const auto& chat : templates()) names.push_back(chat.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

// The id of a special token, if the tokenizer recognises it in text.
std::optional<std::int32_t> find_special(const Tokenizer& tokenizer, std::string_view token) {
  const auto ids = tokenizer.encode(token);
  if (ids.size() != 1 || tokenizer.bytes(ids[0]) != token) return std::nullopt;
  return ids[0];
}

std::int32_t require_special(const std::string& name, const Tokenizer& tokenizer, std::string_view token) {
  const auto id = find_special(tokenizer, token);
  require(id.has_value(), "the chat template '{}' needs the token {}, which the model's tokenizer lacks: expected {}",
          name, token, "a template that fits the model (" + known_names() + ")");
  return *id;
}

std::int32_t response_end(const std::string& name, const BuiltInForm& form, const Tokenizer& tokenizer) {
  if (!form.turn_end.empty()) return require_special(name, tokenizer, form.turn_end);
  require(tokenizer.eos().has_value(),
          "the chat template '{}' ends a response with EOS, which the model's tokenizer does not name: expected an EOS",
          name);
  return *tokenizer.eos();
}

void append_prompt(std::vector<std::int32_t>& ids, std::string_view text, const Tokenizer& tokenizer, bool with_bos) {
  if (with_bos) ids.push_back(*tokenizer.bos());
  const auto encoded = tokenizer.encode(text);
  ids.insert(ids.end(), encoded.begin(), encoded.end());
}

// The turns of a conversation without its system message. Throws Error unless user and assistant take turns from the
// user's first to the user's last.
std::span<const Message> require_turns(std::span<const Message> messages) {
  const std::string_view order = "expected one system message or none, then user and assistant by turns";
  const bool has_system = !messages.empty() && messages.front().role == "system";
  const auto turns = messages.subspan(has_system ? 1 : 0);
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const std::string_view expected = i % 2 == 0 ? "user" : "assistant";
    require(turns[i].role == expected, "message {} of a conversation is of '{}', not of '{}': {}",
            i + (has_system ? 2 : 1), printable(turns[i].role), expected, order);
  }
  require(turns.size() % 2 == 1, "a conversation does not end with a message of 'user': {}", order);
  return turns;
}

std::vector<std::int32_t> encode_turns(const ChatTemplate& chat, const BuiltInForm& form, const Tokenizer& tokenizer,
                                       std::span<const Message> messages) {
  const auto turns = require_turns(messages);
  const std::string_view system = turns.size() < messages.size() ? std::string_view(messages.front().content) : "";
  auto ids = encode_prompt(chat, tokenizer, system, turns.front().content, "");
  for (std::size_t i = 1; i < turns.size(); i += 2) {
    const auto response = encode_response(chat, tokenizer, turns[i].content);
    ids.insert(ids.end(), response.begin(), response.end());
    append_prompt(ids, form.next_prompt(turns[i + 1].content), tokenizer, form.bos_each_turn && tokenizer.adds_bos());
  }
  return ids;
}

}  // namespace

std::span<const ChatTemplate> chat_templates() { return templates(); }

std::shared_ptr<const ChatTemplate> find_chat_template(std::string_view name) {
  for (const auto& chat : templates()) {
    if (chat.name == name) return std::make_shared<ChatTemplate>(chat);
  }
  fail("unknown chat template '{}': expected one of {}", name, known_names());
}

std::shared_ptr<const ChatTemplate> make_chat_template(const std::string& name, std::string_view jinja,
                                                       const SpecialTokens& special_tokens) {
  try {
    return std::make_shared<const ChatTemplate>(
        ChatTemplate{name, std::string(jinja), JinjaForm{jinja::Template(jinja), special_tokens}});
  } catch (const Error& error) {
    fail("the chat template '{}', {}", name, error.what());
  }
}

std::shared_ptr<const ChatTemplate> open_chat_template(const std::string& name_or_file,
                                                       const SpecialTokens& special_tokens) {
  const auto is_named = [&](const ChatTemplate& chat) { return chat.name == name_or_file; };
  if (std::ranges::any_of(templates(), is_named)) return find_chat_template(name_or_file);
  require(std::filesystem::is_regular_file(name_or_file),
          "no chat template is named '{}': expected one of {}, or a file", printable(name_or_file), known_names());
  return make_chat_template(name_or_file, read_text_file(name_or_file), special_tokens);
}

std::shared_ptr<const ChatTemplate> restore_chat_template(const std::string& source,
                                                          const SpecialTokens& special_tokens) {
  if (is_plain_name(source)) return find_chat_template(source);
  return make_chat_template("the adapter's", source, special_tokens);
}

std::shared_ptr<const ChatTemplate> choose_chat_template(std::string_view jinja, const Tokenizer& tokenizer,
                                                         const SpecialTokens& special_tokens) {
  if (fnv1a(jinja) == smollm2_template) return find_chat_template("chatml");
  if (!jinja.empty()) return make_chat_template("the model's own", jinja, special_tokens);
  const bool has_turns = find_special(tokenizer, "<|im_start|>") && find_special(tokenizer, "<|im_end|>");
  return find_chat_template(has_turns ? "chatml" : "alpaca");
}

std::string replacement_note(std::string_view jinja, const ChatTemplate& chosen) {
  if (jinja.empty() || jinja == chosen.source) return "";
  return fmt::format(
      "the chat template {} takes the place of the model's own, which is the same but for a system message that it "
      "puts "
      "in front by itself: --system gives one",
      chosen.name);
}

std::string own_system_message(const ChatTemplate& chat) {
  const auto* jinja = std::get_if<JinjaForm>(&chat.form);
  return jinja == nullptr ? "" : jinja_own_system_message(chat.name, *jinja);
}

std::vector<std::int32_t> encode_prompt(const ChatTemplate& chat, const Tokenizer& tokenizer, std::string_view system,
                                        std::string_view instruction, std::string_view input) {
  const auto* form = std::get_if<BuiltInForm>(&chat.form);
  if (form == nullptr) {
    std::vector<Message> messages;
    if (!system.empty()) messages.push_back({"system", std::string(system)});
    messages.push_back({"user", joined(instruction, input)});
    return encode_prompt(chat, tokenizer, messages);
  }
  for (const auto token : {form->turn_start, form->turn_end}) {
    if (!token.empty()) require_special(chat.name, tokenizer, token);
  }
  std::vector<std::int32_t> ids;
  append_prompt(ids, form->prompt(system, instruction, input), tokenizer, tokenizer.adds_bos());
  return ids;
}

std::vector<std::int32_t> encode_prompt(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                        std::span<const Message> messages) {
  if (const auto* jinja = std::get_if<JinjaForm>(&chat.form)) {
    return encode_jinja_prompt({chat.name, *jinja, tokenizer}, messages);
  }
  return encode_turns(chat, std::get<BuiltInForm>(chat.form), tokenizer, messages);
}

std::vector<std::int32_t> encode_response(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                          std::string_view output) {
  if (const auto* form = std::get_if<BuiltInForm>(&chat.form)) {
    auto ids = tokenizer.encode(output);
    ids.push_back(response_end(chat.name, *form, tokenizer));
    return ids;
  }
  return encode_jinja_response({chat.name, std::get<JinjaForm>(chat.form), tokenizer}, output);
}

std::vector<std::int32_t> stop_tokens(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  const auto* jinja = std::get_if<JinjaForm>(&chat.form);
  std::vector<std::int32_t> stops{jinja != nullptr
                                      ? jinja_response_end({chat.name, *jinja, tokenizer})
                                      : response_end(chat.name, std::get<BuiltInForm>(chat.form), tokenizer)};
  if (tokenizer.eos() && *tokenizer.eos() != stops[0]) stops.push_back(*tokenizer.eos());
  return stops;
}

}  // namespace csreft
