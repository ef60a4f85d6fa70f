// The parts of a tokenizer.json around its model. Each throws Error, naming `file`, for a type that it does not read.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "models/text/normalizer.h"
#include "models/text/pre_tokenizer.h"

namespace csreft {

// A member that must be there.
const nlohmann::json& json_member(const nlohmann::json& object, const char* key, const std::string& where);
// The `type` of a component; empty if it has none.
std::string json_type(const nlohmann::json& component);

// `component` is tokenizer.json's "normalizer", "pre_tokenizer", "decoder" or "post_processor", null for none.
Normalizer read_normalizer(const nlohmann::json& component, const std::string& file);
PreTokenizer read_pre_tokenizer(const nlohmann::json& component, const std::string& file);
// Whether the last pre-tokenizer is ByteLevel, so that the pieces are bytes; read_pre_tokenizer leaves them as they
// are.
bool ends_in_bytes(const nlohmann::json& pre_tokenizer, const std::string& file);

struct TokenDecoder {
  std::vector<std::function<std::string(std::string)>> steps;  // what they make of a token is what it adds to a text
  bool leading_space = false;                                  // a text loses a space that it starts with
};
TokenDecoder read_decoder(const nlohmann::json& component, const std::string& file);

// The name of the token that a post-processor puts in front of a text; nothing without one. What it puts behind a
// text (EOS) is for whole documents, not for prompts, and is not read.
std::optional<std::string> read_text_start(const nlohmann::json& component, const std::string& file);

// The type of the first component, in the order of the file, that the functions above refuse by its type.
std::optional<std::string> find_unread_type(const nlohmann::json& tokenizer);

}  // namespace csreft
