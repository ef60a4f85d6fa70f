// What the files beside a tokenizer say of it: tokenizer_config.json, special_tokens_map.json, added_tokens.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
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
    bool has_id = true;  // else it counts where the vocabulary has its content
    std::string file;    // that names it, for errors
  };
  struct Named {
    std::string content, key, file;
  };
  std::vector<Token> added;
  std::optional<Named> bos, eos;
  std::optional<bool> add_bos;
  bool legacy =
      true;  // a SentencePiece model puts its space in front of each text between added tokens, not of the first
};

// No file is needed. Throws Error, naming the file and the key, for what is not as Hugging Face writes it.
TokenizerSettings read_tokenizer_settings(const std::filesystem::path& folder);

// An entry of tokenizer.json's added_tokens, or of added_tokens_decoder, where the id is the key.
AddedToken read_added_token(const nlohmann::json& object, std::int32_t id, std::string_view where);

// A token's id: 0 to max_token_id. Throws Error, naming `where`, for anything else.
std::int32_t read_token_id(const nlohmann::json& id, std::string_view token, std::string_view where);
inline constexpr std::int32_t max_token_id = (1 << 20) - 1;

// The id of a content in the vocabulary and its added tokens.
using FindToken = std::function<std::optional<std::int32_t>(std::string_view content)>;

// Adds the tokens that the settings name to `added` and `table`, which has the vocabulary's, and sets the table's BOS,
// EOS and add_bos where the settings have them. A token with an id takes the place of what the vocabulary has there.
// Throws Error for a token that the vocabulary has under another id, and for a BOS or EOS that it lacks.
void apply_settings(const TokenizerSettings& settings, const FindToken& find, std::vector<AddedToken>& added,
                    TokenTable& table);

// Puts an added token's text and mark into the table, which grows to hold its id.
void put_added_token(const AddedToken& token, TokenTable& table);

}  // namespace csreft
