// The texts that a chat model expects around the turns of a conversation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/text/tokenizer.h"

namespace csreft {

struct Message {
  std::string role, content;  // role: "system", "user" or "assistant"
};

// A new template is two functions and one line of the table in chat_template.cpp.
struct ChatTemplate {
  std::string_view name;
  // The prompt of the first turn, up to where the response starts. An empty system or input is left out.
  std::string (*prompt)(std::string_view system, std::string_view instruction, std::string_view input);
  // From behind a response's last id to where the next response starts.
  std::string (*next_prompt)(std::string_view instruction);
  std::string_view turn_start, turn_end;  // special tokens that the tokenizer must have; empty: none, and EOS ends
  bool bos_each_turn;                     // where the tokenizer adds BOS: in front of every turn, not the first alone
};

std::span<const ChatTemplate> chat_templates();

// Throws Error, naming the known ones, for another name.
std::shared_ptr<const ChatTemplate> find_chat_template(std::string_view name);

// The template of a model: `jinja` is the chat template that its files carry. One with "<|im_start|>" is chatml, one
// with "[INST]" llama2. A model without one is a base model: alpaca, unless its tokenizer has ChatML's tokens. Throws
// Error for a template of another kind, which a user must replace by name.
std::shared_ptr<const ChatTemplate> choose_chat_template(std::string_view jinja, const Tokenizer& tokenizer);

// The Jinja text in a Hugging Face folder's chat_template.jinja or tokenizer_config.json, of several the one named
// "default"; empty if there is none. Throws Error for a tokenizer_config.json that is not sound, and for several
// templates without a "default".
std::string read_chat_template(const std::filesystem::path& folder);

// The ids of the prompt for the assistant's next turn, with BOS in front if the tokenizer adds it. `messages` is one
// system message or none, then turns of user and assistant that begin and end with the user's. Throws Error for others,
// and if the tokenizer lacks a token that the template needs.
std::vector<std::int32_t> encode_prompt(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                        std::span<const Message> messages);

struct EncodedConversation {
  std::vector<std::int32_t> ids;
  // Half-open spans of `ids`: each assistant's turn, with the id that ends it.
  std::vector<std::pair<std::int64_t, std::int64_t>> responses;
};

// The same for `messages` that end with the assistant's. What lies before a response is the prompt that the messages
// before it give.
EncodedConversation encode_conversation(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                        std::span<const Message> messages);

// The prompt of one turn; an empty system or input is left out. An input has a place of its own in alpaca, and stands
// below the instruction elsewhere.
std::vector<std::int32_t> encode_prompt(const ChatTemplate& chat, const Tokenizer& tokenizer, std::string_view system,
                                        std::string_view instruction, std::string_view input);

// The response's ids and the id that ends it: turn_end, or EOS. Throws Error if the tokenizer lacks it.
std::vector<std::int32_t> encode_response(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                          std::string_view output);

// The ids at which generation stops: the one that ends a response, and EOS. Throws Error if the tokenizer lacks the
// first. A model's config may name more: stop_tokens of language_model.h.
std::vector<std::int32_t> stop_tokens(const ChatTemplate& chat, const Tokenizer& tokenizer);

}  // namespace csreft
