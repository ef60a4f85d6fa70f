#include "models/text/sentencepiece_tokenizer.h"
#include "tests/fuzz/target.h"
#include "tests/models/text/scored_vocabulary.h"

namespace csreft {

namespace {

std::vector<std::string> seeds() { return {sentencepiece_model(small_scored_vocabulary())}; }

void read(std::string_view input) {
  const auto tokenizer = load_sentencepiece(fuzz_folder().write("tokenizer.model", input));
  const auto ids = tokenizer.encode("abc ab \xC3\xA9\n");
  static_cast<void>(tokenizer.decode(ids, false));
}

}  // namespace

extern const FuzzTarget sentencepiece_target;
const FuzzTarget sentencepiece_target{"sentencepiece", "a tokenizer.model, and a text encoded with it", seeds, read};

}  // namespace csreft
