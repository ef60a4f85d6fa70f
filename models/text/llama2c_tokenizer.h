// llama2.c's tokenizer.bin: the pieces of a SentencePiece model, which llama2.c's tokenizer.py has written.
#pragma once

#include <cstdint>
#include <filesystem>

#include "models/text/tokenizer.h"

namespace csreft {

// An int32 with the longest piece's length, then for each piece a float score, an int32 length and its bytes; <unk>,
// BOS and EOS are 0, 1 and 2. Older kinds are read as well:
//   - without the longest length and the scores: they are then those of Llama 2's model, the only one that was written
//     so, whose pieces are numbered by score;
//   - with the characters U+0000 to U+00FF as 3 to 258 in place of "<0x00>" to "<0xFF>".
// Throws Error, naming the file, unless it holds exactly `vocab_size` pieces.
Tokenizer load_llama2c_tokenizer(const std::filesystem::path& file, std::int32_t vocab_size);

}  // namespace csreft
