#include "models/text/hugging_face_tokenizer.h"

#include <nlohmann/json.hpp>

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "models/text/byte_level_bpe.h"
#include "models/text/pre_tokenizer.h"

namespace csreft {
namespace {

using Json = nlohmann::json;

bool is_added(const TokenizerVocabulary& vocabulary, std::size_t id) {
  if (vocabulary.types.empty()) return false;
  const auto type = static_cast<TokenType>(vocabulary.types[id]);
  return type == TokenType::control || type == TokenType::user_defined;
}

Json added_tokens(const TokenizerVocabulary& vocabulary) {
  Json added = Json::array();
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (!is_added(vocabulary, id)) continue;
    added.push_back({{"id", id},
                     {"content", vocabulary.tokens[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", static_cast<TokenType>(vocabulary.types[id]) == TokenType::control}});
  }
  return added;
}

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

// A step that tokenizers has a name for is written by it, others as a Split. ByteLevel, which GPT-2's pattern is a part
// of, turns bytes into its alphabet and so comes last.
Json pre_tokenizer(const BpeVocabulary& bpe) {
  Json steps = Json::array();
  const auto& cuts = bpe.pre_tokenizer;
  const bool ends_with_gpt2 = !cuts.empty() && cuts.back() == gpt2_pattern;
  for (std::size_t i = 0; i + (ends_with_gpt2 ? 1 : 0) < cuts.size(); ++i) {
    if (cuts[i] == "\\p{N}") {
      steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
    } else {
      steps.push_back(
          {{"type", "Split"}, {"pattern", {{"Regex", cuts[i]}}}, {"behavior", "Isolated"}, {"invert", false}});
    }
  }
  steps.push_back(byte_level(ends_with_gpt2));
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

// BOS in front of every text, or nothing.
Json post_processor(const TokenizerVocabulary& vocabulary, bool add_bos) {
  if (!add_bos || !vocabulary.bos_id) return nullptr;
  const auto& bos = vocabulary.tokens[static_cast<std::size_t>(*vocabulary.bos_id)];
  const auto text = [](const char* name, int type) { return Json{{"Sequence", {{"id", name}, {"type_id", type}}}}; };
  const auto mark = [&](int type) { return Json{{"SpecialToken", {{"id", bos}, {"type_id", type}}}}; };
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({mark(0), text("A", 0)})},
          {"pair", Json::array({mark(0), text("A", 0), mark(1), text("B", 1)})},
          {"special_tokens",
           {{bos, {{"id", bos}, {"ids", Json::array({*vocabulary.bos_id})}, {"tokens", Json::array({bos})}}}}}};
}

Json bpe_model(const TokenizerVocabulary& vocabulary, bool ignore_merges, const std::string& source) {
  Json vocab = Json::object();
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const auto& token = vocabulary.tokens[id];
    require(!vocab.contains(token), "{}: tokens {} and {} are both '{}': expected distinct tokens", source,
            vocab.value(token, std::size_t{0}), id, printable(token));
    vocab[token] = id;
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", ignore_merges},
          {"vocab", vocab},
          {"merges", vocabulary.merges}};
}

Json tokenizer_json(const TokenizerVocabulary& vocabulary, const std::string& source) {
  BpeVocabulary bpe;
  bpe.source = source;
  set_gguf_pre_tokenizer(vocabulary.pre, bpe);
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added_tokens(vocabulary)},
          {"normalizer", bpe.nfc ? Json{{"type", "NFC"}} : Json(nullptr)},
          {"pre_tokenizer", pre_tokenizer(bpe)},
          {"post_processor", post_processor(vocabulary, vocabulary.add_bos.value_or(bpe.add_bos))},
          {"decoder", byte_level(true)},
          {"model", bpe_model(vocabulary, bpe.ignore_merges, source)}};
}

Json tokenizer_config(const TokenizerVocabulary& vocabulary, const std::string& chat_template) {
  Json config{{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  const auto name = [&](const char* key, const std::optional<std::int32_t>& id) {
    if (id) config[key] = vocabulary.tokens[static_cast<std::size_t>(*id)];
  };
  name("bos_token", vocabulary.bos_id);
  name("eos_token", vocabulary.eos_id);
  if (!chat_template.empty()) config["chat_template"] = chat_template;
  return config;
}

}  // namespace

void write_tokenizer_files(const std::filesystem::path& folder, const TokenizerVocabulary& vocabulary,
                           const std::string& chat_template, const std::string& source) {
  require(vocabulary.model == "gpt2",
          "{}: its tokenizer '{}' cannot be written as a tokenizer.json, which needs the merges that this file lacks: "
          "expected a byte-level BPE (gpt2), or a model in a folder with its tokenizer's files",
          source, vocabulary.model);
  for (const auto& id : {vocabulary.bos_id, vocabulary.eos_id}) {
    require(!id || (0 <= *id && static_cast<std::size_t>(*id) < vocabulary.tokens.size()),
            "{}: special token id {} is outside the vocabulary of {} tokens", source, id.value_or(0),
            vocabulary.tokens.size());
  }
  const auto write = [&](const char* name, const Json& contents) {
    std::string text;
    try {
      text = contents.dump(1);
    } catch (const Json::exception&) {
      fail("{}: a token or the chat template is not UTF-8: it cannot be written as {}", source, name);
    }
    write_file_atomically(folder / name, text + "\n");
  };
  write("tokenizer.json", tokenizer_json(vocabulary, source));
  write("tokenizer_config.json", tokenizer_config(vocabulary, chat_template));
}

}  // namespace csreft
