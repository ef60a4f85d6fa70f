// A vocabulary that lies in a checkpoint, written as Hugging Face's tokenizer files.
#pragma once

#include <filesystem>
#include <string>

#include "models/checkpoints/checkpoint.h"

namespace csreft {

// Writes tokenizer.json (tokenizers' BPE with its byte-level alphabet, the pre-tokenizer that `vocabulary.pre` names,
// control and user-defined tokens as added tokens, BOS in front of a text where the vocabulary adds it) and
// tokenizer_config.json (BOS, EOS, `chat_template` where it is not empty) into a folder. Ids are those of
// make_bpe_tokenizer. Throws Error, naming `source`, for a vocabulary that is no byte-level BPE, for one whose tokens
// are not distinct UTF-8, and as AtomicFile does.
void write_tokenizer_files(const std::filesystem::path& folder, const TokenizerVocabulary& vocabulary,
                           const std::string& chat_template, const std::string& source);

}  // namespace csreft
