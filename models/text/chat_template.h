// The texts that a chat model expects around an instruction, its input and the response.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/tokenizer.h"

namespace csreft {

// A new template is one function and one line of the table in chat_template.cpp.
struct ChatTemplate {
  std::string_view name;
  // The prompt, up to where the response starts. An empty system or input is left out.
  std::string (*prompt)(std::string_view system, std::string_view instruction, std::string_view input);
  std::string_view turn_start, turn_end;  // special tokens that the tokenizer must have; empty: none, and EOS ends
};

std::span<const ChatTemplate> chat_templates();

// Throws Error, naming the known ones, for another name.
const ChatTemplate& find_chat_template(std::string_view name);

// The template of a model: `jinja` is the chat template that its files carry. One with "<|im_start|>" is chatml, one
// with "[INST]" llama2. A model without one is a base model: alpaca, unless its tokenizer has ChatML's tokens. Throws
// Error for a template of another kind, which a user must replace by name.
const ChatTemplate& choose_chat_template(std::string_view jinja, const Tokenizer& tokenizer);

// The Jinja text in a Hugging Face folder's chat_template.jinja or tokenizer_config.json, of several the one named
// "default"; empty if there is none. Throws Error for a tokenizer_config.json that is not sound, and for several
// templates without a "default".
std::string read_chat_template(const std::filesystem::path& folder);

// The prompt's ids, with BOS in front if the tokenizer adds it. Throws Error if the tokenizer lacks a token that the
// template needs.
std::vector<std::int32_t> encode_prompt(const ChatTemplate& chat, const Tokenizer& tokenizer, std::string_view system,
                                        std::string_view instruction, std::string_view input);

// The response's ids and the id that ends it: turn_end, or EOS. Throws Error if the tokenizer lacks it.
std::vector<std::int32_t> encode_response(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                          std::string_view output);

// The ids at which generation stops: the one that ends a response, and EOS. Throws Error if the tokenizer lacks the
// first. A model's config may name more: stop_tokens of language_model.h.
std::vector<std::int32_t> stop_tokens(const ChatTemplate& chat, const Tokenizer& tokenizer);

}  // namespace csreft
