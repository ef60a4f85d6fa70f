// A base model, or a tokenizer alone, by its path.
#pragma once

#include <filesystem>

#include "models/checkpoints/checkpoint.h"

namespace csreft {

// Opens a Hugging Face folder, a .gguf or a llama2.c .bin, and checks it (check_complete). Reads headers only. Throws
// Error for anything else, saying what is accepted.
Checkpoint open_checkpoint(const std::filesystem::path& path);

// A tokenizer for a checkpoint that has none of its own.
struct TokenizerOrigin {
  TokenizerSource source;
  std::string chat_template;  // Jinja; empty where the file has none, and for a folder, whose files have it
};

// The tokenizer of a Hugging Face folder or a GGUF, a tokenizer.json or a tokenizer.model. Throws Error for a path that
// does not exist, and as open_checkpoint does for a GGUF.
TokenizerOrigin open_tokenizer(const std::filesystem::path& path);

// A token for each byte, in GPT-2's alphabet, then a begin and an end: it fits every model of 258 tokens or more.
TokenizerVocabulary byte_vocabulary();

}  // namespace csreft
