#include "models/language_model.h"

#include <algorithm>

#include "core/base/memory.h"
#include "models/checkpoints/open_checkpoint.h"
#include "models/llama/memory_needs.h"
#include "models/text/byte_level_bpe.h"
#include "models/text/load_tokenizer.h"
#include "models/text/sentencepiece_tokenizer.h"

namespace csreft {
namespace {

std::vector<TokenType> token_types(const TokenizerVocabulary& vocabulary, const std::string& source) {
  std::vector<TokenType> types;
  for (const auto type : vocabulary.types) {
    require(1 <= type && type <= 6, "{}: token type {} is unknown, expected 1 to 6", source, type);
    types.push_back(static_cast<TokenType>(type));
  }
  return types;
}

Tokenizer make_tokenizer(const TokenizerVocabulary& vocabulary, const std::string& source) {
  if (vocabulary.model == "gpt2") {
    BpeVocabulary bpe;
    bpe.source = source;
    bpe.tokens = vocabulary.tokens;
    bpe.types = token_types(vocabulary, source);
    bpe.merges = vocabulary.merges;
    bpe.bos = vocabulary.bos_id;
    bpe.eos = vocabulary.eos_id;
    set_gguf_pre_tokenizer(vocabulary.pre, bpe);
    bpe.add_bos = vocabulary.add_bos.value_or(bpe.add_bos);
    return make_bpe_tokenizer(bpe);
  }
  require(vocabulary.model == "llama", "{}: tokenizer model '{}' is not supported, expected gpt2 or llama", source,
          vocabulary.model);
  ScoredVocabulary scored;
  scored.source = source;
  scored.tokens = vocabulary.tokens;
  scored.scores = vocabulary.scores;
  scored.types = token_types(vocabulary, source);
  scored.bos = vocabulary.bos_id;
  scored.eos = vocabulary.eos_id;
  scored.add_bos = vocabulary.add_bos.value_or(true);
  scored.add_space_prefix = vocabulary.add_space_prefix.value_or(true);
  return make_scored_bpe_tokenizer(scored);
}

Tokenizer load_tokenizer_file(const std::filesystem::path& file, const LlamaConfig& config) {
  if (file.extension() == ".model") return load_sentencepiece(file);
  return load_llama2c_tokenizer(file, static_cast<std::int32_t>(config.vocab_size));
}

}  // namespace

Tokenizer load_tokenizer(const Checkpoint& checkpoint) {
  const auto load = [&]<typename Source>(const Source& source) {
    if constexpr (std::is_same_v<Source, TokenizerFolder>) return load_tokenizer(source.path);
    if constexpr (std::is_same_v<Source, TokenizerFile>) return load_tokenizer_file(source.path, checkpoint.config);
    if constexpr (std::is_same_v<Source, TokenizerVocabulary>) return make_tokenizer(source, checkpoint.path.string());
  };
  Tokenizer tokenizer = std::visit(load, checkpoint.tokenizer);
  require(static_cast<std::int64_t>(tokenizer.vocab_size()) <= checkpoint.config.vocab_size,
          "the tokenizer of {} has {} tokens, more than the model's vocabulary of {}", checkpoint.path.string(),
          tokenizer.vocab_size(), checkpoint.config.vocab_size);
  return tokenizer;
}

LanguageModel load_language_model(const std::filesystem::path& path, std::string_view chat_template, Weights weights,
                                  const Device& device) {
  const Checkpoint checkpoint = open_checkpoint(path);
  require_memory(fmt::format("loading {}", checkpoint.path.string()), weight_bytes(checkpoint, weights, device),
                 weights == Weights::trainable ? "a method that leaves the weights frozen (loreft, csreft, lora), or a "
                                                 "smaller model"
                                               : "its weights in bf16 or as a quantised GGUF, or a smaller model");
  Tokenizer tokenizer = load_tokenizer(checkpoint);
  const ChatTemplate& chat = chat_template.empty() ? choose_chat_template(checkpoint.chat_template, tokenizer)
                                                   : find_chat_template(chat_template);
  return {checkpoint.name, path, Llama(checkpoint, weights, {DType::f32, device}), std::move(tokenizer), &chat};
}

std::vector<std::int32_t> stop_tokens(const LanguageModel& model) {
  auto stops = stop_tokens(*model.chat, model.tokenizer);
  for (const auto id : model.llama.config().eos_token_ids) {
    if (std::ranges::find(stops, id) == stops.end()) stops.push_back(id);
  }
  return stops;
}

}  // namespace csreft
