// The .bin files of llama2.c: a header of sizes, then every weight as float32 or int8.
#pragma once

#include <filesystem>

#include "models/checkpoints/checkpoint.h"

namespace csreft {

// Reads the header of version 0 (seven int32: dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len; a
// negative vocab_size means that the head is a matrix of its own), of version 1 (the magic "ak42", the version, the
// same seven, a byte that says whether the head is shared, zeros up to byte 256) or of version 2 (the same with an
// int32 after the byte: matrices are int8, each followed by a float32 scale for every so many elements). What the file
// does not hold is llama2.c's own: theta 10000, epsilon 1e-5, token 1 begins a text, 2 or the next 1 ends it. The
// tokenizer is the first of tokN.bin, N being the size of the vocabulary, tokenizer.bin, tokN.model and tokenizer.model
// that lies beside the file. Rows of q and k are put into Hugging Face's order when they are read; other float32
// tensors stay views of the file. Throws Error for another version and for a file whose size is not what the header
// demands.
Checkpoint open_llama2c(const std::filesystem::path& path);

}  // namespace csreft
