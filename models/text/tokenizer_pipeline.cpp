#include "models/text/tokenizer_pipeline.h"

#include "models/text/unicode.h"

namespace csreft {

std::vector<std::int32_t> encode(const TokenizerPipeline& pipeline, std::string_view text) {
  std::vector<std::int32_t> ids;
  std::string repaired;
  if (pipeline.repairs_utf8) text = repaired = repaired_utf8(text);
  const PieceSink model = [&](const Piece& piece) { pipeline.model(piece, ids); };
  const auto encode_normalized = [&](std::string_view part, bool at_start) {
    pipeline.normalized_added.split(part, [&](const AddedTokenMatcher::Part& found) {
      if (found.token != nullptr) return ids.push_back(found.token->id);
      const auto stretch = part.substr(found.begin, found.end - found.begin);
      cut_into_pieces(pipeline.pre_tokenizer, {stretch, at_start && found.begin == 0}, model);
    });
  };
  pipeline.added.split(text, [&](const AddedTokenMatcher::Part& found) {
    if (found.token != nullptr) return ids.push_back(found.token->id);
    const auto stretch = text.substr(found.begin, found.end - found.begin);
    if (pipeline.normalizer.empty()) return encode_normalized(stretch, found.begin == 0);
    encode_normalized(normalize(pipeline.normalizer, stretch), found.begin == 0);
  });
  return ids;
}

void set_added_tokens(const std::vector<AddedToken>& tokens, TokenizerPipeline& pipeline) {
  std::vector<AddedToken> raw, normalized;
  TokenIds known;
  for (auto token : tokens) {
    if (!known.emplace(token.content, token.id).second) continue;
    if (token.normalized) {
      token.content = normalize(pipeline.normalizer, token.content);
      normalized.push_back(std::move(token));
    } else {
      raw.push_back(std::move(token));
    }
  }
  pipeline.added = AddedTokenMatcher(std::move(raw));
  pipeline.normalized_added = AddedTokenMatcher(std::move(normalized));
}

}  // namespace csreft
