// The tokenizer of a GGUF.
#pragma once

#include <string>

#include "models/checkpoints/checkpoint.h"
#include "models/text/tokenizer.h"

namespace csreft {

// Control and user-defined tokens are found before the pieces; what follows one gets a space in front where texts do.
// Throws Error, naming the source, for a model other than gpt2 and llama and for lists that contradict each other.
Tokenizer make_gguf_tokenizer(const TokenizerVocabulary& vocabulary, const std::string& source);

}  // namespace csreft
