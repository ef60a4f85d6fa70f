#include "models/text/gguf_tokenizer.h"

#include <fmt/ranges.h>

#include "core/base/error.h"
#include "models/text/byte_level_bpe.h"
#include "models/text/pre_tokenizer.h"
#include "models/text/sentencepiece_tokenizer.h"

namespace csreft {
namespace {

// The patterns of the models' own tokenizer.json, from the first cut to the last. "g" stands for GPT-2's.
constexpr const char* llama3_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+)"
    R"(|\s+(?!\S)|\s+)";
constexpr const char* qwen2_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+)"
    R"(|\s+(?!\S)|\s+)";
constexpr const char* gpt4o_pattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* tekken_pattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* deepseek_letters =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼ)"
    R"(ℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";
constexpr const char* deepseek_han = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+";
constexpr const char* deepseek3_pattern =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct GgufPreTokenizer {
  std::vector<std::string_view> names;
  std::vector<std::string> patterns;
  bool nfc = false, ignore_merges = false, add_bos = false;
};

// The names that llama.cpp writes, with the patterns of the models' own tokenizer.json, from the first cut to the last.
const std::vector<GgufPreTokenizer>& gguf_pre_tokenizers() {
  static const std::vector<GgufPreTokenizer> table{
      {{"default"}, {R"([\p{P}$+<=>^~|]+)", gpt2_pattern, "\\p{N}+", "[0-9][0-9][0-9]"}},
      {{"gpt-2", "phi-2", "olmo", "mpt", "jais", "trillion", "gigachat", "jina-es", "jina-de", "jina-v2-es",
        "jina-v2-de", "a.x-4.0", "mellum", "modern-bert"},
       {gpt2_pattern}},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"},
       {llama3_pattern},
       false,
       true,
       true},
      {{"dbrx", "smaug-bpe", "chatglm-bpe", "glm4"}, {llama3_pattern}},
      {{"qwen2"}, {qwen2_pattern}, true},
      {{"deepseek-r1-qwen", "stablelm2", "megrez", "hunyuan", "grok-2"}, {qwen2_pattern}},
      {{"deepseek-llm"},
       {"[\r\n]", deepseek_letters, "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+", "\\s+$",
        deepseek_han, "\\p{N}+"}},
      {{"deepseek-coder"}, {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", deepseek_han, "\\p{N}"}},
      {{"deepseek-v3", "hunyuan-dense"},
       {"\\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", deepseek3_pattern}},
      {{"gpt-4o", "llama4", "kanana2"}, {gpt4o_pattern}},
      {{"tekken"}, {tekken_pattern}, false, true, true},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}, {"\\p{N}", gpt2_pattern}},
      {{"falcon"}, {R"([\p{P}$+<=>^~|`]+)", gpt2_pattern, "[0-9][0-9][0-9]"}},
      {{"superbpe"}, {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}},
      {{"bloom", "poro-chat", "gpt3-finnish"}, {" ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"}},
      {{"viking"}, {" ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+", "\\p{N}"}},
  };
  return table;
}

std::vector<TokenType> token_types(const TokenizerVocabulary& vocabulary, const std::string& source) {
  std::vector<TokenType> types;
  for (const auto type : vocabulary.types) {
    require(1 <= type && type <= 6, "{}: token type {} is unknown, expected 1 to 6", source, type);
    types.push_back(static_cast<TokenType>(type));
  }
  return types;
}

Tokenizer make_byte_level(const TokenizerVocabulary& vocabulary, const std::string& source) {
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

Tokenizer make_scored(const TokenizerVocabulary& vocabulary, const std::string& source) {
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

}  // namespace

void set_gguf_pre_tokenizer(std::string_view name, BpeVocabulary& vocabulary) {
  std::vector<std::string_view> known;
  for (const auto& entry : gguf_pre_tokenizers()) {
    known.insert(known.end(), entry.names.begin(), entry.names.end());
    if (std::ranges::find(entry.names, name) == entry.names.end()) continue;
    vocabulary.pre_tokenizer = entry.patterns;
    vocabulary.nfc = entry.nfc;
    vocabulary.ignore_merges = entry.ignore_merges;
    vocabulary.add_bos = entry.add_bos;
    return;
  }
  fail("{}: the pre-tokenizer '{}' is not supported: expected one of {}", vocabulary.source, printable(name),
       fmt::join(known, ", "));
}

Tokenizer make_gguf_tokenizer(const TokenizerVocabulary& vocabulary, const std::string& source) {
  if (vocabulary.model == "gpt2") return make_byte_level(vocabulary, source);
  require(vocabulary.model == "llama", "{}: tokenizer model '{}' is not supported, expected gpt2 or llama", source,
          printable(vocabulary.model));
  return make_scored(vocabulary, source);
}

}  // namespace csreft
