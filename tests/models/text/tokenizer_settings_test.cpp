#include "models/text/tokenizer_settings.h"

#include <doctest/doctest.h>

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/json_file.h"
#include "models/text/load_tokenizer.h"
#include "tests/models/text/scored_vocabulary.h"
#include "tests/source.h"
#include "tests/temporary_folder.h"

using csreft::Error;
using doctest::Contains;
using Json = nlohmann::json;
using Ids = std::vector<std::int32_t>;

namespace {

constexpr std::int32_t space_a = 259, a = 260, im_start = 261, im_end = 262;

// A folder with a byte-level tokenizer.json of 420 tokens, as a test changes it. Ids in what follows are those of
// AutoTokenizer of transformers 5.24 for the same files.
struct ByteLevelFolder : TemporaryFolder {
  explicit ByteLevelFolder(const Json& added = Json::array()) {
    auto json = csreft::read_json_object(source("tests/golden_texts/tokenizers/llama3.json"));
    for (const auto& token : added) json["added_tokens"].push_back(token);
    write("tokenizer.json", json.dump());
  }
  csreft::Tokenizer with(const Json& config) const {
    write("tokenizer_config.json", config.dump());
    return csreft::load_tokenizer(path());
  }
  std::string file(const char* name) const { return (path() / name).string(); }
};

// A folder with a tokenizer.model of 261 pieces.
struct SentencePieceFolder : TemporaryFolder {
  SentencePieceFolder() { write("tokenizer.model", sentencepiece_model(scored_vocabulary({"▁a", "a"}))); }
};

}  // namespace

TEST_CASE("added tokens of every file beside a tokenizer.model are found before its pieces") {
  const auto check = [](const SentencePieceFolder& folder) {
    const auto tokenizer = csreft::load_tokenizer(folder.path());
    CHECK(tokenizer.encode("<|im_start|>a<|im_end|>a<s>") == Ids{im_start, space_a, im_end, space_a, 1});
    CHECK(tokenizer.decode(Ids{space_a, im_end}, false) == "a<|im_end|>");
    CHECK(tokenizer.eos() == im_end);
    CHECK(tokenizer.is_special(im_end));
    CHECK(tokenizer.vocab_size() == 263);
  };
  {
    const SentencePieceFolder folder;
    folder.write("added_tokens.json", R"({"<|im_start|>": 261, "<|im_end|>": 262})");
    folder.write("tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");
    check(folder);
  }
  {
    const SentencePieceFolder folder;
    folder.write("added_tokens.json", R"({"<|im_start|>": 261, "<|im_end|>": 262})");
    folder.write("special_tokens_map.json", R"({"eos_token": {"content": "<|im_end|>", "special": true}})");
    check(folder);
  }
  {
    const SentencePieceFolder folder;
    folder.write("tokenizer_config.json", R"({"eos_token": {"content": "<|im_end|>"}, "added_tokens_decoder":
      {"261": {"content": "<|im_start|>"}, "262": {"content": "<|im_end|>", "special": true}}})");
    check(folder);
  }
}

TEST_CASE("a tokenizer.model that is not legacy puts its space in front of the whole text alone") {
  const SentencePieceFolder folder;
  folder.write("tokenizer_config.json", R"({"legacy": false})");
  const auto tokenizer = csreft::load_tokenizer(folder.path());
  CHECK(tokenizer.encode("a</s>a") == Ids{space_a, 2, a});
  CHECK(tokenizer.encode("</s>a") == Ids{2, a});
  CHECK(tokenizer.encode(" a") == Ids{space_a});
}

TEST_CASE("tokenizer_config.json says whether BOS is added") {
  const SentencePieceFolder folder;
  CHECK(csreft::load_tokenizer(folder.path()).adds_bos());
  folder.write("tokenizer_config.json",
               R"({"add_bos_token": false, "tokenizer_class": "Anything", "bos_token": null})");
  CHECK_FALSE(csreft::load_tokenizer(folder.path()).adds_bos());
}

TEST_CASE("what tokenizer_config.json says of an added token counts before what tokenizer.json says") {
  const ByteLevelFolder folder(Json::array({{{"id", 420}, {"content", "<|x|>"}, {"special", true}}}));
  const Json strips = {{"content", "<|x|>"}, {"lstrip", true}, {"rstrip", true}, {"special", false}};
  const auto tokenizer = folder.with({{"added_tokens_decoder", {{"420", strips}}}});
  CHECK(tokenizer.encode("a <|x|> b") == Ids{67, 420, 68});
  CHECK(tokenizer.is_special(420));  // special in one is special
  CHECK(folder.with(Json::object()).encode("a <|x|> b") == Ids{67, 223, 420, 278});
  // A description without an id does not, nor do older files.
  const Json eos = {{"content", "</s>"}, {"lstrip", true}, {"rstrip", true}};
  CHECK(folder.with({{"eos_token", eos}}).encode("a </s> b") == Ids{67, 223, 1, 278});
  folder.write("added_tokens.json", R"({"<|x|>": 420, "<|y|>": 421})");
  CHECK(folder.with(Json::object()).encode("a <|x|> b<|y|>") == Ids{67, 223, 420, 278, 421});
}

TEST_CASE("special tokens that the vocabulary lacks get the next ids, and BOS and EOS are told of") {
  const ByteLevelFolder folder;
  const auto tokenizer =
      folder.with({{"pad_token", "[PAD]"}, {"unk_token", "<U>"}, {"bos_token", "<B>"}, {"eos_token", "<E>"}});
  CHECK(tokenizer.encode("a<B><E>[PAD]<U>") == Ids{67, 420, 421, 423, 422});
  CHECK(tokenizer.decode(Ids{67, 423, 421}) == "a");
  CHECK(tokenizer.vocab_size() == 424);
  CHECK(tokenizer.bos() == 420);
  CHECK(tokenizer.eos() == 421);
  const auto file = folder.file("tokenizer_config.json");
  CHECK(tokenizer.notes() ==
        std::vector<std::string>{file + ": bos_token '<B>' is not in the vocabulary: it gets the next id, 420",
                                 file + ": eos_token '<E>' is not in the vocabulary: it gets the next id, 421"});
  // Those of special_tokens_map.json count where tokenizer_config.json has none.
  folder.write("special_tokens_map.json", R"({"eos_token": "<F>", "pad_token": "[PAD]"})");
  const auto both = folder.with({{"eos_token", "<E>"}, {"additional_special_tokens", {"<X>", "<Y>"}}});
  CHECK(both.encode("a<E><X><Y>[PAD]") == Ids{67, 420, 421, 422, 423});
  CHECK(both.vocab_size() == 424);
  CHECK(folder.with(Json::object()).encode("a<F>[PAD]") == Ids{67, 420, 421});
}

TEST_CASE("an added token that the vocabulary has under another id keeps that, and is told of") {
  const std::string note = ": the added token 'a' has id 999, and 67 in the vocabulary, which counts";
  const ByteLevelFolder in_json(Json::array({{{"id", 999}, {"content", "a"}, {"special", true}}}));
  const auto first = csreft::load_tokenizer(in_json.path());
  CHECK(first.encode("xax") == Ids{90, 67, 90});
  CHECK(first.notes() == std::vector<std::string>{in_json.file("tokenizer.json") + note});
  const ByteLevelFolder plain;
  const auto second = plain.with({{"added_tokens_decoder", {{"999", {{"content", "a"}, {"special", true}}}}}});
  CHECK(second.encode("xax") == Ids{90, 67, 90});
  CHECK(second.is_special(67));
  CHECK(second.vocab_size() == 420);
  CHECK(second.notes() == std::vector<std::string>{plain.file("tokenizer_config.json") + note});
}

TEST_CASE("a tokenizer.json is run as it says, whatever its class: a prompt with added tokens inside") {
  // Ids of tokenizers 0.23; this file puts a space in front of each text between added tokens.
  const TemporaryFolder folder;
  folder.write("tokenizer.json", csreft::read_text_file(source("tests/golden_texts/tokenizers/spm-legacy.json")));
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer", "legacy": false})");
  CHECK(csreft::load_tokenizer(folder.path()).encode("<|im_start|>user\nit is</s>\n<|im_start|>assistant\nyes</s>") ==
        Ids{499, 431, 329, 259, 385, 319, 439, 2, 425, 499, 489, 306, 298, 369, 433, 259, 312, 294, 306, 2});
}

TEST_CASE("bad files beside a tokenizer are errors that name them") {
  const auto refuse = [](const char* name, const char* content, const char* what) {
    CAPTURE(content);
    const SentencePieceFolder folder;
    folder.write(name, content);
    CHECK_THROWS_WITH_AS(csreft::load_tokenizer(folder.path()), Contains(name), Error);
    CHECK_THROWS_WITH_AS(csreft::load_tokenizer(folder.path()), Contains(what), Error);
  };
  const char* const config = "tokenizer_config.json";
  refuse(config, "{", "not valid JSON");
  refuse(config, R"({"eos_token": 3})", "expected a token's text or description");
  refuse(config, R"({"add_bos_token": "yes"})", "`add_bos_token` is string");
  refuse(config, R"({"added_tokens_decoder": []})", "expected {id: token}");
  refuse(config, R"({"added_tokens_decoder": {"x": {"content": "y"}}})", "has the id 'x'");
  refuse(config, R"({"added_tokens_decoder": {"9999999": {"content": "y"}}})", "expected 0 to 1048575");
  refuse(config, R"({"added_tokens_decoder": {"261": "y"}})", "an added token is string");
  refuse(config, R"({"added_tokens_decoder": {"261": {}}})", "`content` is missing");
  refuse("added_tokens.json", R"({"x": -1})", "token 'x' has id -1");
  refuse("added_tokens.json", R"({"x": 1e9})", "token 'x' has id");
  refuse("added_tokens.json", "[]", "expected a JSON object");
}
