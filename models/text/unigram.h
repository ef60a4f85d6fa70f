// Unigram language models (Kudo, 2018), as Hugging Face's tokenizers run them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/text/tokenizer_pipeline.h"

namespace csreft {

struct UnigramModel {
  std::string source;                                  // the file's name, for errors
  std::vector<std::pair<std::string, double>> tokens;  // by id, with their log-probabilities
  std::optional<std::int32_t> unknown;                 // for characters without a token, neighbours in one
  bool byte_fallback = false;  // such characters are their bytes' tokens, <0x00> to <0xFF>, if all exist
};

// A piece is cut where the sum of log-probabilities is highest; an unknown character counts 10 less than the lowest.
// Throws Error, naming the source, for a vocabulary without tokens or with an unknown token outside it; encoding throws
// it for a character that has no token where there is no unknown one.
EncodePiece make_unigram_model(const UnigramModel& model);

}  // namespace csreft
