// The container of GGUF, llama.cpp's file format (versions 2 and 3, little endian): metadata, a table of tensors, and
// their blocks, in one file or in parts.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>

#include <nlohmann/json.hpp>

#include "core/base/mapped_file.h"
#include "core/tensor/tensor.h"
#include "models/checkpoints/gguf_blocks.h"

namespace csreft {

// A tensor as it lies in a file, row-major: `blocks` holds the blocks of the first row, then of the second...
struct GgufTensor {
  GgmlType type;
  Shape shape;
  std::span<const std::byte> blocks;
  std::shared_ptr<const MappedFile> file;  // the part that holds the blocks
};

struct GgufFile {
  // Every key with its value: numbers, booleans, strings, and arrays of them.
  nlohmann::json metadata;
  std::map<std::string, GgufTensor> tensors;
};

// The file that these bytes are, of which the tensors stay views (`file` is null). Every length is checked against the
// bytes before it is used. Throws Error, beginning with `where`, for another magic or version, for bytes that end too
// early, for a key or a tensor that appears twice, and for a tensor of a type that is not read, of more than four axes,
// outside the bytes, or overlapping another.
GgufFile parse_gguf(std::span<const std::byte> bytes, const std::string& where);

// A memory-mapped file; if its `split.count` says that it is one of several, NAME-00001-of-00003.gguf and so on, then
// all of them: the metadata of the first, the tensors of all. `path` names any of them. Throws Error as parse_gguf
// does, for parts that are missing (naming them) or belong to another file, and for another number of tensors than
// `split.tensors.count`.
GgufFile read_gguf(const std::filesystem::path& path);

}  // namespace csreft
