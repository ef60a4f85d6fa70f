// Running every golden value that a folder holds.
#pragma once

#include <filesystem>

#include "tests/golden_compare.h"

// The kinds, by the subfolders of `directory`: `stiefel`, `optim`, `families`, `smollm2` (whose tokens.json needs
// llama2/tokenizer.model in or beside `directory`), a model's folder (config.json and golden.json), and a tokenizer's
// texts (tokens.json beside a tokenizer). Results go to `sink` as they come. Whatever is of no known kind is a failure.
// Throws csreft::Error for a directory that does not exist or is empty.
void run_golden(const std::filesystem::path& directory, const GoldenSink& sink);
