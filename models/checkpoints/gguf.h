// GGUF, llama.cpp's file format (versions 2 and 3, little endian): metadata, a table of tensors, and their blocks.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>

#include <nlohmann/json.hpp>

#include "core/base/mapped_file.h"
#include "core/tensor/tensor.h"
#include "models/checkpoints/checkpoint.h"
#include "models/checkpoints/gguf_blocks.h"

namespace csreft {

// A tensor as it lies in the file, row-major: `blocks` holds the blocks of the first row, then of the second...
struct GgufTensor {
  GgmlType type;
  Shape shape;
  std::span<const std::byte> blocks;
};

// A memory-mapped file with its table of contents.
struct GgufFile {
  std::shared_ptr<const MappedFile> file;
  // Every key with its value: numbers, booleans, strings, and arrays of them.
  nlohmann::json metadata;
  std::map<std::string, GgufTensor> tensors;
};

// Every length is checked against the file before it is used. Throws Error, naming the file, for another magic or
// version, for a file that ends too early, for a key or a tensor that appears twice, and for a tensor of another type
// than GgmlType's, of more than four axes, outside the file, or overlapping another.
GgufFile read_gguf(const std::filesystem::path& path);

// Opens the file through open_checkpoint, which checks the tensors against the config. Rows of q and k are put into
// Hugging Face's order when they are read; F32 tensors else stay views of the file. Throws Error as read_gguf does, for
// a family that is not read, and for missing or ill-typed keys (gguf_config.h).
Checkpoint open_gguf(const std::filesystem::path& path);

}  // namespace csreft
