#include "models/text/sentencepiece_tokenizer.h"

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "models/text/llama2c_tokenizer.h"
#include "tests/models/text/scored_vocabulary.h"
#include "tests/temporary_folder.h"

using csreft::Error;
using doctest::Contains;
using Ids = std::vector<std::int32_t>;

TEST_CASE("the SentencePiece library, its BPE without the library, and llama2.c's file agree") {
  const TemporaryFolder folder;
  const auto vocabulary = small_scored_vocabulary();
  const auto library = csreft::load_sentencepiece(folder.write("tokenizer.model", sentencepiece_model(vocabulary)));
  const auto llama2c = csreft::load_llama2c_tokenizer(folder.write("tokenizer.bin", llama2c_file(vocabulary)), 269);
  const auto scored = csreft::make_scored_bpe_tokenizer(vocabulary);
  constexpr std::int32_t ab = 259, space_ab = 260, byte = 3;
  CHECK(scored.encode("ab ab") == Ids{space_ab, space_ab});
  CHECK(scored.encode("abab") == Ids{space_ab, ab});
  CHECK(scored.encode("\n") == Ids{263, byte + '\n'});
  for (const std::string text :
       {"", " ", "a", "abc abcab", "  ab  ", "ab\ncd é €", "<s>ab</s>", "a\xFF\xE2\x82z", "▁ab"}) {
    CHECK(scored.encode(text) == library.encode(text));
    CHECK(llama2c.encode(text) == library.encode(text));
  }
  for (const auto& tokenizer : {library, llama2c, scored}) {
    for (const std::string text : {" ", "ab", "  abc \n€😀 "}) CHECK(tokenizer.decode(tokenizer.encode(text)) == text);
    CHECK(decode_one_by_one(tokenizer, tokenizer.encode("é€")) == "é€");
    CHECK(tokenizer.bos() == 1);
    CHECK(tokenizer.eos() == 2);
    CHECK(tokenizer.adds_bos());
    CHECK(tokenizer.is_special(1));
    CHECK_FALSE(tokenizer.is_special(byte));
  }
  CHECK(library.decode(Ids{1, space_ab, 2}) == "ab");
}

TEST_CASE("control and user-defined tokens are found first, and the text after one starts with a space") {
  auto vocabulary = scored_vocabulary({"▁a", "<x>", "x>", "▁", "a"});
  vocabulary.types[260] = csreft::TokenType::user_defined;
  CHECK(csreft::make_scored_bpe_tokenizer(vocabulary).encode("a<x>a<s>a") == Ids{259, 260, 259, 1, 259});
  vocabulary.add_space_prefix = false;
  CHECK(csreft::make_scored_bpe_tokenizer(vocabulary).encode("a<x>a</s>a") == Ids{263, 260, 263, 2, 263});
}

TEST_CASE("an unused token of a scored vocabulary has no text") {
  auto vocabulary = scored_vocabulary({"▁a", "[PAD]", "a"});
  vocabulary.types[260] = csreft::TokenType::unused;
  const auto tokenizer = csreft::make_scored_bpe_tokenizer(vocabulary);
  CHECK(tokenizer.decode(Ids{259, 260, 261}) == "aa");
  CHECK(tokenizer.piece(260) == "<id 260>");
}

TEST_CASE("a bad SentencePiece model is an error that names the file") {
  const TemporaryFolder folder;
  const auto model = sentencepiece_model(small_scored_vocabulary());
  for (const auto& content : {std::string(), std::string("no model"), model.substr(0, model.size() / 2)}) {
    const auto file = folder.write("tokenizer.model", content);
    CHECK_THROWS_WITH_AS(csreft::load_sentencepiece(file), Contains("not a SentencePiece model"), Error);
    CHECK_THROWS_WITH_AS(csreft::load_sentencepiece(file), Contains(file.c_str()), Error);
  }
  CHECK_THROWS_WITH_AS(csreft::load_sentencepiece(folder.path()), Contains("cannot read"), Error);
}

TEST_CASE("a scored vocabulary that contradicts itself is an error") {
  auto vocabulary = small_scored_vocabulary();
  vocabulary.tokens[3] = "<0xZZ>";
  CHECK_THROWS_WITH_AS(csreft::make_scored_bpe_tokenizer(vocabulary), Contains("'<0xZZ>'"), Error);
  vocabulary = small_scored_vocabulary();
  vocabulary.scores.pop_back();
  CHECK_THROWS_WITH_AS(csreft::make_scored_bpe_tokenizer(vocabulary), Contains("269 tokens, 268 scores"), Error);
  vocabulary = small_scored_vocabulary();
  vocabulary.eos = 269;
  CHECK_THROWS_WITH_AS(csreft::make_scored_bpe_tokenizer(vocabulary), Contains("269 is outside"), Error);
}
