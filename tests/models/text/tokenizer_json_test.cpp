#include "models/text/tokenizer_json.h"

#include <fstream>
#include <map>
#include <span>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/json_file.h"
#include "models/text/gguf_tokenizer.h"
#include "models/text/load_tokenizer.h"
#include "tests/models/text/awkward_texts.h"
#include "tests/source.h"
#include "tests/temporary_folder.h"

namespace {

using Ids = std::vector<std::int32_t>;
using Json = nlohmann::json;
using doctest::Contains;

// A kind's name and its hashes, each of eight texts, in hexadecimal.
std::map<std::string, std::string> golden_hashes() {
  std::ifstream stream(source("tests/golden_texts/tokenizers/ids.txt"));
  std::map<std::string, std::string> hashes;
  for (std::string name, hash; stream >> name >> hash;) hashes[name] = hash;
  return hashes;
}

// FNV-1a over the ids' bytes, lowest first, and those of -1 after the last.
void hash_ids(Ids ids, std::uint32_t& hash) {
  ids.push_back(-1);
  for (const auto id : ids) {
    for (unsigned shift = 0; shift < 32; shift += 8) {
      hash = (hash ^ (static_cast<std::uint32_t>(id) >> shift & 0xFFU)) * 0x01000193U;
    }
  }
}

constexpr std::uint32_t fnv_start = 0x811C9DC5U;

std::string hash_of(const csreft::Tokenizer& tokenizer, std::span<const std::string> texts) {
  std::uint32_t hash = fnv_start;
  for (const auto& text : texts) hash_ids(tokenizer.encode(text), hash);
  return fmt::format("{:08x}", hash);
}

// The first of each eight texts that have another hash than expected.
std::string differing_texts(const csreft::Tokenizer& tokenizer, std::span<const std::string> texts,
                            const std::string& expected) {
  std::string differing;
  for (std::size_t first = 0; first < texts.size(); first += 8) {
    if (hash_of(tokenizer, texts.subspan(first, 8)) != expected.substr(first, 8)) {
      differing += fmt::format(" {}", first);
    }
  }
  return differing;
}

// The vocabulary of a byte-level tokenizer.json as a GGUF holds it.
csreft::TokenizerVocabulary gguf_vocabulary(const std::string& file, const std::string& pre) {
  const auto json = csreft::read_json_object(source(file));
  csreft::TokenizerVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = pre;
  vocabulary.tokens.resize(json["model"]["vocab"].size());
  for (const auto& [token, id] : json["model"]["vocab"].items()) vocabulary.tokens.at(id.get<std::size_t>()) = token;
  for (const auto& merge : json["model"]["merges"]) {
    vocabulary.merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  vocabulary.types.resize(vocabulary.tokens.size(), static_cast<std::int32_t>(csreft::TokenType::normal));
  for (const auto& token : json["added_tokens"]) {
    vocabulary.types.at(token["id"].get<std::size_t>()) = static_cast<std::int32_t>(csreft::TokenType::control);
  }
  return vocabulary;
}

// A Llama-like model of characters: <unk>, <s>, </s>, the bytes, then a few pieces.
Json small_llama() {
  Json vocab = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  for (int byte = 0; byte < 256; ++byte) vocab[fmt::format("<0x{:02X}>", byte)] = 3 + byte;
  for (const char* piece : {"▁", "a", "b", "ab", "▁a", "▁ab", "\n"}) vocab[piece] = vocab.size();
  Json json = Json::parse(R"({
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
    "pre_tokenizer": null,
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]},
    "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
      {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
      "merges": ["a b", "▁ a", "▁a b", "▁ ab"]}})");
  json["model"]["vocab"] = vocab;
  json["added_tokens"] = Json::array();
  for (const char* token : {"<unk>", "<s>", "</s>"}) {
    json["added_tokens"].push_back({{"id", vocab[token]}, {"content", token}, {"special", true}});
  }
  return json;
}

constexpr std::int32_t space = 259, a = 260, b = 261, space_a = 263, space_ab = 264, newline = 265;

csreft::Tokenizer read(const Json& json) { return csreft::read_tokenizer_json(json, "small.json"); }

}  // namespace

TEST_CASE("ids of awkward texts are those of Hugging Face's tokenizers, for every kind of tokenizer.json") {
  // The hashes are of tokenizers 0.23's ids of all 1,600 texts.
  const auto texts = awkward_texts(1600, 1);
  const auto hashes = golden_hashes();
  REQUIRE(hashes.size() == 19);
  std::uint32_t of_texts = fnv_start;
  for (const auto& text : texts) {
    Ids bytes;
    for (const char byte : text) bytes.push_back(static_cast<unsigned char>(byte));
    hash_ids(bytes, of_texts);
  }
  CHECK(fmt::format("{:08x}", of_texts) == hashes.at("texts"));
  for (const auto& [kind, expected] : hashes) {
    if (kind == "texts") continue;
    CAPTURE(kind);
    const auto tokenizer = csreft::load_tokenizer_json(source("tests/golden_texts/tokenizers/" + kind + ".json"));
    REQUIRE(expected.size() == texts.size());
    CHECK(differing_texts(tokenizer, texts, expected) == "");
  }
}

TEST_CASE("a GGUF's name of a pre-tokenizer gives the ids of the model's own tokenizer.json") {
  const auto texts = awkward_texts(1600, 1);
  const auto hashes = golden_hashes();
  for (const auto& [pre, kind] : {std::pair("llama-bpe", "llama3"),
                                  {"qwen2", "qwen2"},
                                  {"gpt-4o", "gpt4o"},
                                  {"tekken", "tekken"},
                                  {"deepseek-coder", "deepseekcoder"},
                                  {"deepseek-v3", "deepseek3"},
                                  {"falcon", "falcon"}}) {
    CAPTURE(pre);
    const auto tokenizer = csreft::make_gguf_tokenizer(
        gguf_vocabulary(fmt::format("tests/golden_texts/tokenizers/{}.json", kind), pre), pre);
    CHECK(differing_texts(tokenizer, texts, hashes.at(kind)) == "");
  }
}

TEST_CASE("what stands in front of a text is read from each kind of post-processor") {
  auto json = small_llama();
  for (const char* type : {"RobertaProcessing", "BertProcessing"}) {
    json["post_processor"] = {{"type", type}, {"cls", {"<s>", 1}}, {"sep", {"</s>", 2}}};
    CHECK(read(json).adds_bos());
    CHECK(read(json).bos() == 1);
    CHECK(read(json).encode("a") == Ids{space_a});
  }
  json["post_processor"]["cls"] = "<s>";
  CHECK_THROWS_WITH_AS(read(json), Contains("`cls` is \"<s>\": expected [TOKEN, ID]"), csreft::Error);
}

TEST_CASE("a SentencePiece-type tokenizer.json encodes and decodes, byte fallback included") {
  const auto tokenizer = read(small_llama());
  CHECK(tokenizer.encode("ab ab") == Ids{space_ab, space_ab});
  CHECK(tokenizer.encode("a\nb") == Ids{space_a, newline, b});
  CHECK(tokenizer.encode("é") == Ids{space, 3 + 0xC3, 3 + 0xA9});
  CHECK(tokenizer.encode("").empty());
  CHECK(tokenizer.decode(Ids{1, space_ab, 3 + 0xC3, 3 + 0xA9, 2}) == "abé");
  CHECK(tokenizer.decode(tokenizer.encode("  a b ")) == "  a b ");
  CHECK(tokenizer.encode("a\xFFz") == tokenizer.encode("a\uFFFDz"));
  CHECK(tokenizer.bos() == 1);
  CHECK(tokenizer.adds_bos());
}

TEST_CASE("the space in front of a text is put in front of each text between added tokens, or of the first") {
  auto json = small_llama();
  CHECK(read(json).encode("a</s>a<s>") == Ids{space_a, 2, space_a, 1});
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}, {"split", false}};
  CHECK(read(json).encode("a</s>a<s>") == Ids{space_a, 2, a, 1});
  CHECK(read(json).encode(" a a") == Ids{space_a, space_a});
  CHECK(read(json).encode("</s>a") == Ids{2, a});
  json["pre_tokenizer"]["prepend_scheme"] = "never";
  CHECK(read(json).encode("a a</s>a") == Ids{a, space_a, 2, a});
  json["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"str_rep", "▁"}, {"add_prefix_space", true}};
  CHECK(read(json).encode("a</s>a") == Ids{space_a, 2, space_a});
  json["pre_tokenizer"]["add_prefix_space"] = false;
  CHECK(read(json).encode("a</s>a") == Ids{a, 2, a});
}

TEST_CASE("added tokens take white space, stand alone and are normalized as they say") {
  const auto with = [](const Json& flags) {
    auto json = small_llama();
    Json token = {{"id", 300}, {"content", "bb"}, {"special", false}};
    token.update(flags);
    json["added_tokens"].push_back(token);
    return read(json);
  };
  CHECK(with(Json::object()).encode("b bb b") == Ids{space, b, space, 300, space, space, b});
  CHECK(with({{"lstrip", true}}).encode("b \n bb b") == Ids{space, b, 300, space, space, b});
  CHECK(with({{"rstrip", true}}).encode("b bb\t b") == Ids{space, b, space, 300, space, b});
  CHECK(with({{"single_word", true}}).encode("bb bba") == Ids{300, space, space, b, b, a});
  CHECK(with({{"single_word", true}}).encode("bb-") == Ids{300, space, 3 + '-'});
  // The normalizer makes "▁bb" of it.
  CHECK(with({{"normalized", true}}).encode("bb abb") == Ids{300, space_ab, b});
  CHECK(with(Json::object()).decode(Ids{300}) == "bb");
}

TEST_CASE("ids may have gaps, which decode to nothing") {
  auto json = small_llama();
  json["added_tokens"].push_back({{"id", 300}, {"content", "[PAD]"}, {"special", true}});
  const auto tokenizer = read(json);
  CHECK(tokenizer.vocab_size() == 301);
  CHECK(tokenizer.encode("[PAD]") == Ids{300});
  CHECK(tokenizer.decode(Ids{space_a, 290, 300, b}) == "ab");
  CHECK(tokenizer.piece(290) == "<id 290>");
  const auto padded = tokenizer.padded_to(310);
  CHECK(padded.decode(Ids{space_a, 305, b}, false) == "ab");
  CHECK_FALSE(padded.is_special(305));
  CHECK(padded.vocab_size() == 310);
  CHECK(tokenizer.padded_to(2).vocab_size() == 301);
  CHECK_THROWS_WITH_AS(padded.decode(Ids{310}), Contains("expected 0 to 309"), csreft::Error);
}

TEST_CASE("unknown characters are fused, kept apart or dropped") {
  auto json = small_llama();
  json["model"]["byte_fallback"] = false;
  CHECK(read(json).encode("xya") == Ids{space, 0, a});
  json["model"]["fuse_unk"] = false;
  CHECK(read(json).encode("xya") == Ids{space, 0, 0, a});
  json["model"]["unk_token"] = nullptr;
  CHECK(read(json).encode("xya") == Ids{space_a});
}

TEST_CASE("ignore_merges takes a piece that is a token as it is") {
  auto json = small_llama();
  json["model"]["merges"] = Json::array();
  CHECK(read(json).encode("ab") == Ids{space, a, b});
  json["model"]["ignore_merges"] = true;
  CHECK(read(json).encode("ab") == Ids{space_ab});
}

TEST_CASE("a Unigram model cuts where the probability is highest") {
  auto json = small_llama();
  json["normalizer"] = nullptr;
  json["model"] = Json::parse(R"({"type": "Unigram", "unk_id": 0, "vocab":
    [["<unk>", 0], ["<s>", 0], ["</s>", 0], ["a", -1], ["b", -1], ["ab", -1.5], ["ba", -2.5], ["<0x78>", -9]]})");
  CHECK(read(json).encode("abab") == Ids{5, 5});
  CHECK(read(json).encode("aba") == Ids{5, 3});
  CHECK(read(json).encode("xya") == Ids{0, 3});
  json["model"]["byte_fallback"] = true;
  CHECK(read(json).encode("xa") == Ids{7, 3});
  CHECK(read(json).encode("ya") == Ids{0, 3});
  json["model"]["unk_id"] = 8;
  CHECK_THROWS_WITH_AS(read(json), Contains("unknown token 8 is outside"), csreft::Error);
  json["model"]["unk_id"] = nullptr;
  CHECK_THROWS_WITH_AS(read(json).encode("y"), Contains("'y' has no token"), csreft::Error);
  json["model"]["vocab"] = Json::array();
  CHECK_THROWS_AS(read(json), csreft::Error);
}

TEST_CASE("a normalizer that grows without end is stopped") {
  auto json = small_llama();
  const Json twice = {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}};
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", std::vector<Json>(40, twice)}};
  CHECK_THROWS_WITH_AS(read(json).encode("a"), Contains("the normalizer makes 2097152 bytes of a text of 1"),
                       csreft::Error);
}

TEST_CASE("several tokens in front of a text, and Sequences without end, are refused") {
  auto json = small_llama();
  const Json token = {{"SpecialToken", {{"id", "<s>"}}}};
  json["post_processor"]["single"] = Json::array({token, token, {{"Sequence", {{"id", "A"}}}}});
  CHECK_THROWS_WITH_AS(read(json), Contains("expected one token, or none"), csreft::Error);
  json = small_llama();
  for (int depth = 0; depth < 1000; ++depth) {
    json["normalizer"] = {{"type", "Sequence"}, {"normalizers", Json::array({json["normalizer"]})}};
  }
  CHECK_THROWS_WITH_AS(read(json), Contains("Sequences within Sequences"), csreft::Error);
}
