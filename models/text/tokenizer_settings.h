// What the files beside a tokenizer say of it: tokenizer_config.json, special_tokens_map.json, added_tokens.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "models/text/added_tokens.h"
#include "models/text/tokenizer.h"

namespace csreft {

struct TokenizerSettings {
  struct Token {
    AddedToken token;
    bool has_id = true;     // else it is one of the vocabulary, or new
    bool replaces = false;  // what the tokenizer's own file says of a token with this content
    std::string file;       // that names it, for messages
  };
  struct Named {
    std::string content, key, file;
  };
  std::vector<Token> added;
  std::optional<Named> bos, eos;
  std::optional<bool> add_bos;
  // A SentencePiece model puts its space in front of each text between added tokens, not of the first alone.
  bool legacy = true;
};

// No file is needed. Throws Error, naming the file and the key, for what is not as Hugging Face writes it.
TokenizerSettings read_tokenizer_settings(const std::filesystem::path& folder);

// An entry of tokenizer.json's added_tokens, or of added_tokens_decoder, where the id is the key.
AddedToken read_added_token(const nlohmann::json& object, std::int32_t id, std::string_view where);

// A token's id: 0 to max_token_id. Throws Error, naming `where`, for anything else.
std::int32_t read_token_id(const nlohmann::json& id, std::string_view token, std::string_view where);
inline constexpr std::int32_t max_token_id = (1 << 20) - 1;

// The text of a special token, which is named by it or described as an added token is; nothing for null, false and ""
// and where there is none. Throws Error, naming `file` and the key, for anything else.
std::optional<std::string> find_special_token(const nlohmann::json& object, const char* key, const std::string& file);
// bos_token, eos_token and their like, in the order in which transformers adds those that a vocabulary lacks.
std::span<const char* const> special_token_keys();

// The id of a content in the vocabulary and its added tokens.
using FindToken = std::function<std::optional<std::int32_t>(std::string_view content)>;

// Adds the tokens that the settings name to `added` and `table`, which has the vocabulary's, and sets the table's BOS,
// EOS and add_bos where the settings have them. As in transformers, a token with an id takes the place of what the
// vocabulary has there, one that the vocabulary has under another id keeps that, and one that it lacks and that has no
// id gets the next one; the table's notes say so where it changes what the files say of an id.
void apply_settings(const TokenizerSettings& settings, const FindToken& find, std::vector<AddedToken>& added,
                    TokenTable& table);

// Puts an added token's text and mark into the table, which grows to hold its id.
void put_added_token(const AddedToken& token, TokenTable& table);

// What is said of an added token whose id is not the one that the vocabulary has for it, which counts.
std::string note_of_other_id(std::string_view file, const AddedToken& token, std::int32_t known);

}  // namespace csreft
