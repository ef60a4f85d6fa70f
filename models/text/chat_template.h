// The texts that a chat model expects around the turns of a conversation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "models/text/conversation.h"
#include "models/text/tokenizer.h"

namespace csreft {

// One of this project's own: two functions and a line of the table in chat_template.cpp.
struct BuiltInForm {
  // The prompt of the first turn, up to where the response starts. An empty system or input is left out.
  std::string (*prompt)(std::string_view system, std::string_view instruction, std::string_view input);
  // From behind a response's last id to where the next response starts.
  std::string (*next_prompt)(std::string_view instruction);
  std::string_view turn_start, turn_end;  // special tokens that the tokenizer must have; empty: none, and EOS ends
  bool bos_each_turn;                     // where the tokenizer adds BOS: in front of every turn, not the first alone
};

struct ChatTemplate {
  std::string name;    // for display
  std::string source;  // what it is made of again: the name of a built-in one, or the Jinja text
  std::variant<BuiltInForm, JinjaForm> form;
};

// The built-in ones.
std::span<const ChatTemplate> chat_templates();
// Throws Error, naming the known ones, for another name.
std::shared_ptr<const ChatTemplate> find_chat_template(std::string_view name);

// `special_tokens` are those of the model, which a Jinja template may write. Each throws Error for a Jinja text that is
// not understood; its text names `name` and the line.
std::shared_ptr<const ChatTemplate> make_chat_template(const std::string& name, std::string_view jinja,
                                                       const SpecialTokens& special_tokens);
// By a built-in name, or by the path of a file in Jinja. Throws Error if it is neither.
std::shared_ptr<const ChatTemplate> open_chat_template(const std::string& name_or_file,
                                                       const SpecialTokens& special_tokens);
// By ChatTemplate::source, as an adapter keeps it.
std::shared_ptr<const ChatTemplate> restore_chat_template(const std::string& source,
                                                          const SpecialTokens& special_tokens);
// The template of a model: `jinja` is the chat template that its files carry, and empty if there is none. A model
// without one is a base model: alpaca, unless its tokenizer has ChatML's tokens. The text of SmolLM2-Instruct alone is
// not run: that is chatml, so that the default model is given no system message that nobody wrote.
std::shared_ptr<const ChatTemplate> choose_chat_template(std::string_view jinja, const Tokenizer& tokenizer,
                                                         const SpecialTokens& special_tokens = {});

// What to tell where choose_chat_template() put another in the place of the model's own; empty if it did not.
std::string replacement_note(std::string_view jinja, const ChatTemplate& chosen);

// What the template puts in front of a first user message as a system message of its own; empty if it does not.
std::string own_system_message(const ChatTemplate& chat);

// The ids of the prompt for the assistant's next turn. Throws Error if the tokenizer lacks a token that a built-in
// template needs, and for messages that the template refuses; a built-in one takes one system message or none, then
// turns of user and assistant that begin and end with the user's, and puts BOS in front if the tokenizer adds it. A
// Jinja template writes BOS itself: the ids are those of transformers' apply_chat_template(add_generation_prompt=True).
std::vector<std::int32_t> encode_prompt(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                        std::span<const Message> messages);

// The prompt of one turn; an empty system or input is left out. An input has a place of its own in alpaca, and stands
// below the instruction elsewhere.
std::vector<std::int32_t> encode_prompt(const ChatTemplate& chat, const Tokenizer& tokenizer, std::string_view system,
                                        std::string_view instruction, std::string_view input);

// The ids of a response, with the id that ends it: what follows a prompt's ids where a model has learnt to answer. A
// Jinja template's are what it writes behind its prompt, up to the token that ends the turn; where the tokenizer has no
// token for that, the output and EOS. Each is learnt as the answer that is asked for last: what the template makes of
// it once a later turn follows (an answer without its thinking) counts in later prompts alone. A template that writes
// an answer elsewhere than behind the prompt that asks for it gives the output as it is, without what the prompt has
// begun of it. Throws Error if the tokenizer lacks the id that ends it.
std::vector<std::int32_t> encode_response(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                          std::string_view output);

// The ids at which generation stops: the one that ends a response, and EOS. Throws Error if the tokenizer lacks the
// first. A model's config may name more: stop_tokens of language_model.h.
std::vector<std::int32_t> stop_tokens(const ChatTemplate& chat, const Tokenizer& tokenizer);

}  // namespace csreft
