#include "models/text/hugging_face_tokenizer.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "models/text/byte_level_bpe.h"
#include "models/text/load_tokenizer.h"
#include "models/text/tokenizer.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

using csreft::TokenizerVocabulary;
using csreft::write_tokenizer_files;

namespace {

// The printable ASCII characters, a space (written as GPT-2's alphabet writes it), a few merges and two marks.
TokenizerVocabulary small_vocabulary(const std::string& pre) {
  TokenizerVocabulary v;
  v.model = "gpt2";
  v.pre = pre;
  v.tokens = {"<s>", "<keep>"};
  for (char c = '!'; c <= '~'; ++c) v.tokens.emplace_back(1, c);
  v.tokens.insert(v.tokens.end(), {"\u0120", "th", "\u0120th", "the", "12", "123"});
  v.merges = {"t h", "\u0120 th", "th e", "1 2", "12 3"};
  v.types.assign(v.tokens.size(), 1);
  v.types[0] = 3;
  v.types[1] = 4;
  v.bos_id = 0;
  v.eos_id = 0;
  return v;
}

csreft::Tokenizer made(const TokenizerVocabulary& vocabulary) {
  csreft::BpeVocabulary bpe;
  bpe.source = "made";
  bpe.tokens = vocabulary.tokens;
  for (const auto type : vocabulary.types) bpe.types.push_back(static_cast<csreft::TokenType>(type));
  bpe.merges = vocabulary.merges;
  bpe.bos = vocabulary.bos_id;
  bpe.eos = vocabulary.eos_id;
  csreft::set_gguf_pre_tokenizer(vocabulary.pre, bpe);
  bpe.add_bos = vocabulary.add_bos.value_or(bpe.add_bos);
  return csreft::make_bpe_tokenizer(bpe);
}

std::string refusal(const TokenizerVocabulary& vocabulary, const std::string& chat_template = "") {
  const TemporaryFolder folder;
  return error_text([&] {
    write_tokenizer_files(folder.path(), vocabulary, chat_template, "x.gguf");
    return 0;
  });
}

}  // namespace

TEST_CASE("written tokenizer files give the ids, marks and BOS of the vocabulary, for every pre-tokenizer") {
  for (const char* pre : {"smollm", "gpt-2", "llama-bpe", "default", "qwen2", "deepseek-llm", "deepseek-coder",
                          "deepseek-v3", "gpt-4o", "tekken", "falcon", "superbpe", "bloom", "viking"}) {
    CAPTURE(pre);
    const TemporaryFolder folder;
    const auto vocabulary = small_vocabulary(pre);
    write_tokenizer_files(folder.path(), vocabulary, "{{ messages }}", "x.gguf");
    const auto expected = made(vocabulary), read = csreft::load_tokenizer(folder.path());
    for (const char* text :
         {"", "the 123 the", "  the<keep>1234 <s>th", "a-b  $12,3!! 'll", "123123", "1234567 the", "e\u0301\r\n th "}) {
      CAPTURE(text);
      CHECK(read.encode(text) == expected.encode(text));
    }
    CHECK(read.vocab_size() == expected.vocab_size());
    CHECK(read.bos() == 0);
    CHECK(read.eos() == 0);
    CHECK(read.adds_bos() == expected.adds_bos());
    CHECK(read.is_special(0));
    CHECK_FALSE(read.is_special(1));
    CHECK(nlohmann::json::parse(folder.read("tokenizer_config.json"))["chat_template"] == "{{ messages }}");
  }
}

TEST_CASE("smollm is written with the names that tokenizers has for its steps") {
  const TemporaryFolder folder;
  write_tokenizer_files(folder.path(), small_vocabulary("smollm"), "", "x.gguf");
  const auto json = nlohmann::json::parse(folder.read("tokenizer.json"));
  const auto& steps = json["pre_tokenizer"]["pretokenizers"];
  REQUIRE(steps.size() == 2);
  CHECK(steps[0] == nlohmann::json{{"type", "Digits"}, {"individual_digits", true}});
  CHECK(steps[1]["type"] == "ByteLevel");
  CHECK(steps[1]["use_regex"] == true);
  CHECK(json["decoder"]["type"] == "ByteLevel");
  CHECK_FALSE(nlohmann::json::parse(folder.read("tokenizer_config.json")).contains("chat_template"));
}

TEST_CASE("vocabularies that cannot be written are refused") {
  auto vocabulary = small_vocabulary("smollm");
  vocabulary.tokens[5] = "!";
  CHECK(contains(refusal(vocabulary), "x.gguf: tokens 2 and 5 are both '!'"));
  vocabulary.tokens[5] = "\xff";
  CHECK(contains(refusal(vocabulary), "not UTF-8"));
  CHECK(contains(refusal(small_vocabulary("smollm"), "\xff"), "not UTF-8"));
  CHECK(contains(refusal(small_vocabulary("other")), "'other' is not supported"));
  vocabulary = small_vocabulary("smollm");
  vocabulary.eos_id = 1000;
  CHECK(contains(refusal(vocabulary), "special token id 1000 is outside"));
  vocabulary = small_vocabulary("smollm");
  vocabulary.model = "llama";
  CHECK(contains(refusal(vocabulary), "its tokenizer 'llama' cannot be written"));
}
