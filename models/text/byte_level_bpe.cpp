#include "models/text/byte_level_bpe.h"

#include <memory>

#include "core/base/error.h"
#include "models/text/bpe.h"
#include "models/text/byte_alphabet.h"

namespace csreft {
namespace {

void check_ids(const BpeVocabulary& vocabulary) {
  const auto size = vocabulary.tokens.size();
  require(vocabulary.types.empty() || vocabulary.types.size() == size,
          "{}: {} token types for {} tokens: expected one each", vocabulary.source, vocabulary.types.size(), size);
  for (const auto& id : {vocabulary.bos, vocabulary.eos, vocabulary.unknown}) {
    require(!id || (*id >= 0 && static_cast<std::size_t>(*id) < size),
            "{}: special token id {} is outside the vocabulary: expected 0 to {}", vocabulary.source, id.value_or(0),
            static_cast<std::int64_t>(size) - 1);
  }
}

std::pair<std::string_view, std::string_view> pair_of(const BpeVocabulary& vocabulary, std::size_t i) {
  const std::string_view merge = vocabulary.merges[i];
  const auto space = merge.find(' ');
  if (space == merge.npos) {
    fail("{}: merge {} '{}' is no pair: expected two tokens and a space between", vocabulary.source, i,
         printable(merge));
  }
  return {merge.substr(0, space), merge.substr(space + 1)};
}

}  // namespace

Tokenizer make_bpe_tokenizer(const BpeVocabulary& vocabulary) {
  check_ids(vocabulary);
  BpeModel model;
  model.source = vocabulary.source;
  model.byte_level = true;
  model.ignore_merges = vocabulary.ignore_merges;
  model.unknown = vocabulary.unknown;
  TokenTable table;
  std::vector<AddedToken> added;
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const auto& token = vocabulary.tokens[i];
    const auto id = static_cast<std::int32_t>(i);
    const auto type = vocabulary.types.empty() ? TokenType::normal : vocabulary.types[i];
    const bool special = type == TokenType::control;
    const bool found_first = special || type == TokenType::user_defined;
    if (!token.empty()) model.ids.insert_or_assign(token, id);
    if (found_first) added.push_back({.content = token, .id = id, .special = special});
    table.text.push_back(type == TokenType::unused ? "" : found_first ? token : bytes_of_token(token));
    table.special.push_back(special);
  }
  for (std::size_t i = 0; i < vocabulary.merges.size(); ++i) model.merges.push_back(pair_of(vocabulary, i));
  table.bos = vocabulary.bos;
  table.eos = vocabulary.eos;
  table.add_bos = vocabulary.add_bos;

  const auto pipeline = std::make_shared<TokenizerPipeline>();
  if (vocabulary.nfc) pipeline->normalizer.emplace_back(NormalForm::nfc);
  pipeline->repairs_utf8 = vocabulary.nfc;
  for (const auto& pattern : vocabulary.pre_tokenizer) {
    pipeline->pre_tokenizer.emplace_back(SplitPieces{Regex(pattern, vocabulary.source)});
  }
  set_added_tokens(added, *pipeline);
  pipeline->model = make_bpe_model(std::move(model));
  return Tokenizer(std::move(table), [pipeline](std::string_view text) { return encode(*pipeline, text); });
}

}  // namespace csreft
