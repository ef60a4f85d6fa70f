#include "models/text/gguf_tokenizer.h"

#include <fmt/ranges.h>

#include "core/base/error.h"
#include "models/text/byte_alphabet.h"
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
// The cased letters, range by range.
constexpr const char* deepseek_letters =
    R"(\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF})"
    R"(\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1})"
    R"(\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5})"
    R"(\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77})"
    R"(\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D})"
    R"(\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE})"
    R"(\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC})"
    R"(\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124})"
    R"(\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E})"
    R"(\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D})"
    R"(\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF})"
    R"(\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F})"
    R"(\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF})"
    R"(\x{1E900}-\x{1E943}]+)";
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
      {{"falcon"}, {R"([\p{P}$+<=>^~|`]+)", gpt2_pattern, "\\p{N}+", "[0-9][0-9][0-9]"}},
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

// The types of a file that has none: the unknown token is the first, the bytes' are named so, BOS and EOS are marks.
std::vector<TokenType> usual_types(const TokenizerVocabulary& vocabulary) {
  std::vector<TokenType> types;
  for (const auto& token : vocabulary.tokens) {
    types.push_back(byte_of_piece(token) ? TokenType::byte : TokenType::normal);
  }
  if (types.front() == TokenType::normal) types.front() = TokenType::unknown;
  for (const auto& mark : {vocabulary.bos_id, vocabulary.eos_id}) {
    if (mark) types.at(static_cast<std::size_t>(*mark)) = TokenType::control;
  }
  return types;
}

Tokenizer make_scored(const TokenizerVocabulary& vocabulary, const std::string& source) {
  ScoredVocabulary scored;
  scored.source = source;
  scored.tokens = vocabulary.tokens;
  // As llama.cpp: without scores, all are equal.
  scored.scores = vocabulary.scores.empty() ? std::vector<float>(vocabulary.tokens.size()) : vocabulary.scores;
  scored.types = vocabulary.types.empty() ? usual_types(vocabulary) : token_types(vocabulary, source);
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
