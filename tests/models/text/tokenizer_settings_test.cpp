#include "models/text/tokenizer_settings.h"

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "models/text/load_tokenizer.h"
#include "tests/models/text/scored_vocabulary.h"
#include "tests/temporary_folder.h"

using csreft::Error;
using doctest::Contains;
using Ids = std::vector<std::int32_t>;

namespace {

constexpr std::int32_t space_a = 259, a = 260, im_start = 261, im_end = 262;

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
  refuse(config, R"({"eos_token": "<none>"})", "eos_token '<none>' is not in the vocabulary");
  refuse(config, R"({"eos_token": 3})", "expected a token's text or description");
  refuse(config, R"({"add_bos_token": "yes"})", "`add_bos_token` is string");
  refuse(config, R"({"added_tokens_decoder": []})", "expected {id: token}");
  refuse(config, R"({"added_tokens_decoder": {"x": {"content": "y"}}})", "has the id 'x'");
  refuse(config, R"({"added_tokens_decoder": {"9999999": {"content": "y"}}})", "expected 0 to 1048575");
  refuse(config, R"({"added_tokens_decoder": {"261": "y"}})", "an added token is string");
  refuse(config, R"({"added_tokens_decoder": {"261": {}}})", "`content` is missing");
  refuse(config, R"({"added_tokens_decoder": {"261": {"content": "</s>"}}})", "has id 261, and 2 in the vocabulary");
  refuse("added_tokens.json", R"({"x": -1})", "token 'x' has id -1");
  refuse("added_tokens.json", R"({"x": 1e9})", "token 'x' has id");
  refuse("added_tokens.json", "[]", "expected a JSON object");
}
