#include "models/text/llama2c_tokenizer.h"

#include "tests/fuzz/target.h"
#include "tests/little_endian.h"
#include "tests/models/text/scored_vocabulary.h"

namespace csreft {

namespace {

constexpr std::int32_t n_pieces = 269;

// With scores, and as older files are: without the first number and the scores.
std::vector<std::string> seeds() {
  const auto vocabulary = small_scored_vocabulary();
  std::string older;
  for (const auto& token : vocabulary.tokens) older += bytes_of(static_cast<std::int32_t>(token.size())) + token;
  return {llama2c_file(vocabulary), older};
}

void read(std::string_view input) {
  const auto tokenizer = load_llama2c_tokenizer(fuzz_folder().write("tokenizer.bin", input), n_pieces);
  const auto ids = tokenizer.encode("abc ab \xC3\xA9\n");
  static_cast<void>(tokenizer.decode(ids, false));
}

}  // namespace

extern const FuzzTarget llama2c_tokenizer_target;
const FuzzTarget llama2c_tokenizer_target{"llama2c_tokenizer", "llama2.c's tokenizer.bin, and a text encoded with it",
                                          seeds, read};

}  // namespace csreft
