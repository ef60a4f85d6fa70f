#include "models/text/tokenizer.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "models/text/byte_level_bpe.h"
#include "models/text/load_tokenizer.h"
#include "models/text/sentencepiece_tokenizer.h"
#include "tests/models/text/scored_vocabulary.h"
#include "tests/temporary_folder.h"

namespace {

using csreft::BpeVocabulary;
using csreft::Error;
using csreft::TokenType;
using doctest::Contains;
using Ids = std::vector<std::int32_t>;
using Json = nlohmann::json;

// Ids 0 and 1 are special, 2 to 257 the bytes 0 to 255, then what the merges make.
constexpr std::int32_t byte_0 = 2;
constexpr std::int32_t first_merged = 258;

std::string byte_character(int byte) {
  const bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
  // The 34 bytes up to the space and from 0x7F to 0xA0, and 0xAD, stand at U+0100 and onwards.
  const int code_point = printable ? byte : byte <= 0x20 ? 0x100 + byte : byte == 0xAD ? 0x143 : 0x121 + byte - 0x7F;
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xC0 | (code_point >> 6)), static_cast<char>(0x80 | (code_point & 0x3F))};
}

BpeVocabulary small_vocabulary() {
  BpeVocabulary vocabulary;
  vocabulary.source = "small";
  vocabulary.tokens = {"<|im_start|>", "<|im_end|>"};
  for (int byte = 0; byte < 256; ++byte) vocabulary.tokens.push_back(byte_character(byte));
  vocabulary.merges = {"h e", "l l", "he ll", "hell o", "Ġ hello", "1 2", "Ã ©"};
  for (const auto* merged : {"he", "ll", "hell", "hello", "Ġhello", "12", "Ã©"}) vocabulary.tokens.push_back(merged);
  vocabulary.types.assign(vocabulary.tokens.size(), TokenType::normal);
  vocabulary.types[0] = vocabulary.types[1] = TokenType::control;
  csreft::set_gguf_pre_tokenizer("smollm", vocabulary);
  vocabulary.bos = 0;
  vocabulary.eos = 1;
  return vocabulary;
}

Json small_tokenizer_json() {
  const auto vocabulary = small_vocabulary();
  Json vocab = Json::object();
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) vocab[vocabulary.tokens[id]] = id;
  Json added = Json::array();
  for (std::size_t id : {0, 1}) added.push_back({{"id", id}, {"content", vocabulary.tokens[id]}, {"special", true}});
  const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
  const Json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  return {{"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {digits, byte_level}}}},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", vocabulary.merges}}}};
}

Ids bytes_of(std::string_view text) {
  Ids ids;
  for (const char c : text) ids.push_back(byte_0 + static_cast<unsigned char>(c));
  return ids;
}

}  // namespace

TEST_CASE("byte-level BPE merges by rank within words") {
  const auto tokenizer = csreft::make_bpe_tokenizer(small_vocabulary());
  CHECK(tokenizer.encode("hello hello") == Ids{first_merged + 3, first_merged + 4});
  CHECK(tokenizer.encode("hell") == Ids{first_merged + 2});
  CHECK(tokenizer.encode("lll") == Ids{first_merged + 1, byte_0 + 'l'});
  CHECK(tokenizer.encode("").empty());
}

TEST_CASE("byte-level BPE encodes a long word in less than quadratic time") {
  const auto tokenizer = csreft::make_bpe_tokenizer(small_vocabulary());
  CHECK(tokenizer.encode(std::string(400'000, 'l')) == Ids(200'000, first_merged + 1));
}

TEST_CASE("each digit is a part of its own where the pre-tokenizer says so") {
  auto vocabulary = small_vocabulary();
  CHECK(csreft::make_bpe_tokenizer(vocabulary).encode("12") == bytes_of("12"));
  csreft::set_gguf_pre_tokenizer("gpt-2", vocabulary);
  CHECK(csreft::make_bpe_tokenizer(vocabulary).encode("12") == Ids{first_merged + 5});
}

TEST_CASE("special tokens are found before the text is split, the longest first") {
  auto vocabulary = small_vocabulary();
  vocabulary.tokens.push_back("<|im_end|>>");
  vocabulary.types.push_back(TokenType::user_defined);
  const auto longest = static_cast<std::int32_t>(vocabulary.tokens.size()) - 1;
  const auto tokenizer = csreft::make_bpe_tokenizer(vocabulary);
  CHECK(tokenizer.encode("<|im_start|>hello<|im_end|>") == Ids{0, first_merged + 3, 1});
  CHECK(tokenizer.encode("<|im_end|>>") == Ids{longest});
  CHECK(tokenizer.encode("<|im_") == bytes_of("<|im_"));
  CHECK(tokenizer.decode(Ids{0, first_merged, longest}) == "he<|im_end|>>");
  CHECK(tokenizer.decode(Ids{0, first_merged}, false) == "<|im_start|>he");
  CHECK(tokenizer.is_special(0));
  CHECK_FALSE(tokenizer.is_special(longest));
}

TEST_CASE("Llama 3's pre-tokenizer takes whole parts from the vocabulary and cuts numbers to three digits") {
  auto vocabulary = small_vocabulary();
  csreft::set_gguf_pre_tokenizer("llama-bpe", vocabulary);
  vocabulary.tokens.push_back("Ġok");  // no merge makes it
  vocabulary.tokens.push_back("34");
  vocabulary.types.insert(vocabulary.types.end(), 2, TokenType::normal);
  const auto ok = static_cast<std::int32_t>(vocabulary.tokens.size()) - 2;
  const auto tokenizer = csreft::make_bpe_tokenizer(vocabulary);
  CHECK(tokenizer.encode(" ok") == Ids{ok});
  CHECK(tokenizer.encode("12334") == Ids{first_merged + 5, byte_0 + '3', ok + 1});
  CHECK(tokenizer.adds_bos());
}

TEST_CASE("white space is Unicode's: U+0085 is, U+180E is not") {
  auto vocabulary = small_vocabulary();
  vocabulary.pre_tokenizer = {{R"([^\s]+)"}};
  vocabulary.merges = {"a Â", "a á", "Ġ a"};
  for (const auto* merged : {"aÂ", "aá", "Ġa"}) vocabulary.tokens.push_back(merged);
  vocabulary.types.insert(vocabulary.types.end(), 3, TokenType::normal);
  const auto tokenizer = csreft::make_bpe_tokenizer(vocabulary);
  CHECK(tokenizer.encode("a\u0085") == bytes_of("a\u0085"));
  CHECK(tokenizer.encode("a\u180E").size() == 3);
}

TEST_CASE("a byte without a token adds the unknown token, or nothing") {
  BpeVocabulary vocabulary;
  vocabulary.tokens = {"<unk>", "a"};
  CHECK(csreft::make_bpe_tokenizer(vocabulary).encode("aba") == Ids{1, 1});
  vocabulary.unknown = 0;
  CHECK(csreft::make_bpe_tokenizer(vocabulary).encode("aba") == Ids{1, 0, 1});
}

TEST_CASE("decoding gives back every text, whole or one token at a time") {
  const auto tokenizer = csreft::make_bpe_tokenizer(small_vocabulary());
  for (const std::string text :
       {"hello  world\n\t 12", "naïve café — “quotes”", "数学の問題 😀", "<|im_start|>a", "é\u0301"}) {
    const auto ids = tokenizer.encode(text);
    CHECK(tokenizer.decode(ids, false) == text);
    CHECK(decode_one_by_one(tokenizer, ids) == text);
  }
}

TEST_CASE("incremental decoding emits a character once its last byte is there") {
  csreft::IncrementalDecoder decoder(csreft::make_bpe_tokenizer(small_vocabulary()));
  const auto bytes = bytes_of("€x");
  CHECK(decoder.push(bytes[0]).empty());
  CHECK(decoder.push(bytes[1]).empty());
  CHECK(decoder.push(bytes[2]) == "€");
  CHECK(decoder.push(bytes[3]) == "x");
  CHECK(decoder.push(bytes[0]).empty());
  CHECK(decoder.push(bytes[3]) == "\uFFFDx");
  CHECK(decoder.push(bytes[0]).empty());
  CHECK(decoder.finish() == "\uFFFD");
  CHECK(decoder.finish().empty());
}

TEST_CASE("invalid UTF-8 is encoded byte by byte and decoded as U+FFFD") {
  const auto tokenizer = csreft::make_bpe_tokenizer(small_vocabulary());
  for (const std::string_view text : {"a\xFFhello", "\xC3", "\xED\xA0\x80", "\xF0\x9F\x98", "\x80\x80"}) {
    const auto ids = tokenizer.encode(text);
    std::string bytes;
    for (const auto id : ids) bytes += tokenizer.bytes(id);
    CHECK(bytes == text);
    CHECK(decode_one_by_one(tokenizer, ids) == tokenizer.decode(ids));
  }
  CHECK(tokenizer.decode(bytes_of("a\xF0\x9F\x98 b\xED\xA0")) == "a\uFFFD b\uFFFD\uFFFD");
}

TEST_CASE("pieces are printable") {
  const auto tokenizer = csreft::make_bpe_tokenizer(small_vocabulary());
  CHECK(tokenizer.piece(first_merged + 4) == "\u2423hello");
  CHECK(tokenizer.piece(first_merged + 6) == "é");
  CHECK(tokenizer.piece(byte_0 + '\n') == "<0x0A>");
  CHECK(tokenizer.piece(byte_0 + 0xE2) == "<0xE2>");
  CHECK(tokenizer.piece(0) == "<|im_start|>");
}

TEST_CASE("ids outside the vocabulary are errors") {
  const auto tokenizer = csreft::make_bpe_tokenizer(small_vocabulary());
  CHECK_THROWS_WITH_AS(tokenizer.decode(Ids{265}), Contains("token id 265"), Error);
  CHECK_THROWS_WITH_AS(tokenizer.piece(-1), Contains("expected 0 to 264"), Error);
}

TEST_CASE("an unknown pre-tokenizer of a GGUF is an error that names it") {
  auto vocabulary = small_vocabulary();
  CHECK_THROWS_WITH_AS(csreft::set_gguf_pre_tokenizer("other", vocabulary), Contains("'other'"), Error);
  CHECK_THROWS_WITH_AS(csreft::set_gguf_pre_tokenizer("other", vocabulary), Contains("qwen2"), Error);
}

TEST_CASE("tokenizer.json gives the same tokenizer, with merges as texts or as pairs") {
  const TemporaryFolder folder;
  auto json = small_tokenizer_json();
  folder.write("tokenizer_config.json", R"({"bos_token": "<|im_start|>", "eos_token": {"content": "<|im_end|>"}})");
  const auto file = folder.write("tokenizer.json", json.dump());
  for (auto& merge : json["model"]["merges"]) {
    const auto text = merge.get<std::string>();
    merge = {text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)};
  }
  const auto expected = csreft::make_bpe_tokenizer(small_vocabulary());
  const std::string text = "<|im_start|>hello hello 12 é\n";
  const auto from_texts = csreft::load_tokenizer(folder.path());
  folder.write("tokenizer.json", json.dump());
  const auto from_pairs = csreft::load_tokenizer_json(file);
  for (const auto& tokenizer : {from_texts, from_pairs}) {
    CHECK(tokenizer.encode(text) == expected.encode(text));
    CHECK(tokenizer.vocab_size() == expected.vocab_size());
    CHECK(tokenizer.bos() == 0);
    CHECK(tokenizer.eos() == 1);
    CHECK_FALSE(tokenizer.adds_bos());
    CHECK(tokenizer.is_special(1));
  }
}

TEST_CASE("tokenizer.json's pre-tokenizers and post-processor are followed") {
  const TemporaryFolder folder;
  auto json = small_tokenizer_json();
  json["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"use_regex", true}};
  CHECK(csreft::load_tokenizer_json(folder.write("a.json", json.dump())).encode("hello") == Ids{first_merged + 4});

  const Json split = {{"type", "Split"}, {"pattern", {{"Regex", "l"}}}, {"behavior", "Isolated"}, {"invert", false}};
  const Json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  json["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {split, byte_level}}};
  const auto add_bos = R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|im_start|>"}}]})";
  json["post_processor"] = Json::parse(add_bos);
  // An empty Sequence is no step.
  json["pre_tokenizer"]["pretokenizers"].push_back({{"type", "Sequence"}, {"pretokenizers", Json::array()}});
  const auto tokenizer = csreft::load_tokenizer_json(folder.write("b.json", json.dump()));
  CHECK(tokenizer.encode("hell") == Ids{first_merged, byte_0 + 'l', byte_0 + 'l'});
  CHECK(tokenizer.adds_bos());
}

TEST_CASE("a bad tokenizer.json is an error that names the file and what was expected") {
  const TemporaryFolder folder;
  const auto good = small_tokenizer_json();
  const auto check = [&](const std::string& content, const std::string& message) {
    const auto file = folder.write("tokenizer.json", content);
    CHECK_THROWS_WITH_AS(csreft::load_tokenizer_json(file), Contains(message.c_str()), Error);
    CHECK_THROWS_WITH_AS(csreft::load_tokenizer_json(file), Contains(file.c_str()), Error);
  };
  const auto check_patched = [&](const char* patch, const std::string& message) {
    auto json = good;
    json.merge_patch(Json::parse(patch));
    check(json.dump(), message);
  };
  check(good.dump().substr(0, 900), "not valid JSON: syntax error at byte 901");
  check("hello", "not valid JSON");
  check("[]", "expected a JSON object");
  check_patched(R"({"model": null})", "'model'");
  check_patched(R"({"model": {"vocab": null}})", "'vocab'");
  check_patched(R"({"model": {"merges": null}})", "'merges'");
  check_patched(R"({"model": {"vocab": 3}})", "model.vocab is no object");
  check_patched(R"({"model": {"vocab": {"he": "x"}}})", "token 'he' has id \"x\"");
  check_patched(R"({"model": {"vocab": {"he": 1048576}}})", "'he' has id 1048576: expected 0 to 1048575");
  check_patched(R"({"model": {"vocab": {"he": -1}}})", "'he' has id -1");
  check_patched(R"({"model": {"vocab": {"he": 259}}})", "both have id 259");
  check_patched(R"({"model": {"merges": ["h e", "x yz"]}})", "merge 1 'x yz' needs the token 'yz'");
  check_patched(R"({"model": {"merges": ["h e l"]}})", "merge 0 'h e l' is no pair");
  check_patched(R"({"model": {"merges": ["a\nb"]}})", "merge 0 'a<0x0A>b' is no pair");
  check_patched(R"({"model": {"merges": ["he"]}})", "merge 0 'he' is no pair");
  check_patched(R"({"model": {"merges": [["h", "e", "l"]]}})", "is no pair");
  check_patched(R"({"model": {"merges": [["h", 3]]}})", "actual type is number");
  check_patched(R"({"model": {"dropout": 0.5}})", "dropout 0.5");
  check_patched(R"({"model": {"end_of_word_suffix": "</w>"}})", "end_of_word_suffix");
  check_patched(R"({"model": {"unk_token": "<unk>"}})", "unk_token '<unk>' is not in the vocabulary");
  check_patched(R"({"model": {"type": "WordPiece"}})", "model type 'WordPiece' is not supported");
  check_patched(R"({"normalizer": {"type": "Precompiled"}})", "normalizer 'Precompiled' is not supported");
  check_patched(R"({"normalizer": {"type": "Sequence"}})", "expected a member 'normalizers'");
  check_patched(R"({"normalizer": {"type": "Replace", "content": "", "pattern": {"String": ""}}})", "empty text");
  check_patched(R"({"pre_tokenizer": {"pretokenizers": [{"type": "Metaspace"}]}})", "`replacement` is missing");
  check_patched(R"({"pre_tokenizer": {"pretokenizers": [{"type": "BertPreTokenizer"}]}})", "'BertPreTokenizer'");
  check_patched(R"({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}}})", "does not compile");
  check_patched(R"({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a"}}})", "the behavior ''");
  check_patched(R"({"decoder": {"type": "WordPiece"}})", "decoder 'WordPiece' is not supported");
  check_patched(R"({"post_processor": {"type": "PairProcessing"}})", "post_processor 'PairProcessing'");
  check_patched(R"({"post_processor": {"type": "BertProcessing"}})", "expected a member 'cls'");
  check_patched(R"({"added_tokens": [{"id": 5, "content": "<new>"}]})", "both have id 5");
  check_patched(R"({"added_tokens": [{"id": 5}]})", "`content` is missing");
  check_patched(R"({"added_tokens": [{"id": 1, "content": "<|im_end|>", "rstrip": 3}]})", "`rstrip` is number");
  const auto missing = folder.path() / "absent.json";
  CHECK_THROWS_WITH_AS(csreft::load_tokenizer_json(missing), Contains("absent.json"), Error);
}

TEST_CASE("patterns whose meaning would differ are refused") {
  auto vocabulary = small_vocabulary();
  for (const char* pattern : {"(", R"([\W])", "[a[^b]]", "[a&&b]", "a{2,3}+"}) {
    vocabulary.pre_tokenizer = {{pattern}};
    CHECK_THROWS_WITH_AS(csreft::make_bpe_tokenizer(vocabulary), Contains("pattern"), Error);
  }
}

TEST_CASE("a folder's tokenizer is tokenizer.json or tokenizer.model, whichever can be read") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(csreft::load_tokenizer(folder.path()), Contains("tokenizer.json or tokenizer.model"), Error);
  folder.write("tokenizer.json", R"({"model": {"type": "WordPiece"}})");
  CHECK_THROWS_WITH_AS(csreft::load_tokenizer(folder.path()), Contains("expected BPE or Unigram"), Error);
  folder.write("tokenizer.model", sentencepiece_model(small_scored_vocabulary()));
  CHECK(csreft::load_tokenizer(folder.path()).vocab_size() == 269);
  folder.write("tokenizer.json", small_tokenizer_json().dump());
  CHECK(csreft::load_tokenizer(folder.path()).vocab_size() == 265);
}
