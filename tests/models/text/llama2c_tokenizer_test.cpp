#include "models/text/llama2c_tokenizer.h"

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "models/text/sentencepiece_tokenizer.h"
#include "tests/little_endian.h"
#include "tests/models/text/scored_vocabulary.h"
#include "tests/temporary_folder.h"

using csreft::Error;
using csreft::load_llama2c_tokenizer;
using doctest::Contains;

namespace {

// As older files hold a vocabulary: byte tokens are the characters themselves; with scores or not.
std::string older_file(const csreft::ScoredVocabulary& vocabulary, bool scores) {
  std::string file = scores ? bytes_of(std::int32_t{6}) : "";
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    auto token = vocabulary.tokens[id];
    if (id >= 3 && id < 131) token = std::string(1, static_cast<char>(id - 3));
    if (id >= 131 && id < 259)
      token = {static_cast<char>(id - 3 < 192 ? 0xC2 : 0xC3), static_cast<char>(0x80 | ((id - 3) & 0x3F))};
    for (std::size_t at; (at = token.find("▁")) != token.npos;) token.replace(at, std::string_view("▁").size(), " ");
    if (scores) file += bytes_of(vocabulary.scores[id]);
    file += bytes_of(static_cast<std::int32_t>(token.size())) + token;
  }
  return file;
}

}  // namespace

TEST_CASE("older files, with bytes as characters and without scores, give the same ids") {
  const TemporaryFolder folder;
  const auto reference = csreft::make_scored_bpe_tokenizer(small_scored_vocabulary());
  for (const bool scores : {true, false}) {
    CAPTURE(scores);
    const auto tokenizer =
        load_llama2c_tokenizer(folder.write("tokenizer.bin", older_file(small_scored_vocabulary(), scores)), 269);
    for (const std::string text : {"", "a", "abc abcab", "  ab  ", "ab\ncd é €", "a\xFF\xE2\x82z"}) {
      CHECK(tokenizer.encode(text) == reference.encode(text));
      CHECK(tokenizer.decode(reference.encode(text)) == reference.decode(reference.encode(text)));
    }
  }
}

TEST_CASE("without scores, runs of spaces are merged last") {
  const TemporaryFolder folder;
  const auto file = folder.write("tokenizer.bin", older_file(scored_vocabulary({"▁▁", "▁a", "▁", "a"}), false));
  constexpr std::int32_t two_spaces = 259, space_a = 260, space = 261;
  const auto tokenizer = load_llama2c_tokenizer(file, 263);
  CHECK(tokenizer.encode(" a") == std::vector<std::int32_t>{space, space_a});
  CHECK(tokenizer.encode(" ") == std::vector<std::int32_t>{two_spaces});
}

TEST_CASE("a bad tokenizer.bin is an error that names the file") {
  const TemporaryFolder folder;
  const auto content = llama2c_file(small_scored_vocabulary());
  const auto file = folder.write("tokenizer.bin", content);
  CHECK_THROWS_WITH_AS(csreft::load_llama2c_tokenizer(file, 268), Contains("bytes follow token 267"), Error);
  CHECK_THROWS_WITH_AS(csreft::load_llama2c_tokenizer(file, 270), Contains("ends inside a token"), Error);
  auto negative = content;
  negative[11] = '\xFF';  // the sign of the first token's length
  folder.write("tokenizer.bin", negative);
  CHECK_THROWS_WITH_AS(csreft::load_llama2c_tokenizer(file, 269), Contains("token 0 has length -"), Error);
  folder.write("tokenizer.bin", older_file(small_scored_vocabulary(), false).substr(0, 40));
  CHECK_THROWS_WITH_AS(csreft::load_llama2c_tokenizer(file, 269), Contains("ends inside a token"), Error);
  CHECK_THROWS_WITH_AS(csreft::load_llama2c_tokenizer(folder / "none.bin", 269),
                       Contains("none.bin is missing: expected the tokenizer beside the model, as tok269.bin"), Error);
  CHECK_THROWS_WITH_AS(csreft::load_llama2c_tokenizer(folder.path(), 269), Contains(folder.path().c_str()), Error);
}
