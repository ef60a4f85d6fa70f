// The safetensors format: 8 bytes of header length (little endian), a JSON header {name: {dtype, shape, data_offsets}}
// padded with spaces, and the elements of all tensors, row-major, without holes.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mapped_file.h"
#include "core/tensor/stored_matrix.h"
#include "core/tensor/tensor.h"

namespace csreft {

using SafeTensorsMetadata = std::map<std::string, std::string>;

// One file, memory-mapped.
class SafeTensors {
 public:
  // Element types of the format: those that are read, and `other`, which a file may hold beside them (masks, say).
  enum class ElementType { f16, bf16, f32, f64, i32, i64, other };
  // A tensor as the header describes it.
  struct Entry {
    ElementType type;
    Shape shape;
    std::span<const std::byte> bytes;
    std::string type_name;  // as the header has it: "F8_E4M3"
  };

  // Throws Error, naming the file and the tensor, unless the header is sound and every tensor lies in the file, has a
  // dtype of the format, at most four axes, as many bytes as its shape needs, and shares none of them with another.
  static SafeTensors open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_->path(); }
  // In alphabetical order.
  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return entries_.contains(name); }
  // What get(name) will return. Throw Error for a tensor that the file lacks.
  Shape shape(const std::string& name) const { return entry(name).shape; }
  // Throws Error for a tensor of ElementType::other, as get() does.
  DType dtype(const std::string& name) const;
  // The type of its elements in the file.
  ElementType element_type(const std::string& name) const { return entry(name).type; }
  const std::string& type_name(const std::string& name) const { return entry(name).type_name; }
  // F32, BF16, F64 and I32: the mapped elements themselves, read-only, which the tensor keeps mapped (a copy where the
  // file does not align them). F16 becomes f32 and I64 i32, as copies. The elements' pages leave resident memory
  // (MappedFile::forget) with the last tensor that views them, at once for a copy. Throws Error for a tensor that the
  // file lacks and for an I64 value beyond i32.
  Tensor get(const std::string& name) const;
  // The bytes of a matrix in BF16, F16 or F64; nothing for other shapes and types.
  std::optional<std::int64_t> stored_bytes(const std::string& name) const;
  // Such a matrix as it lies in the mapped file. Its pages are forgotten as those of get(). Throw Error for a tensor
  // that the file lacks, and here for another kind.
  StoredMatrix stored(const std::string& name) const;
  const SafeTensorsMetadata& metadata() const { return metadata_; }

 private:
  const Entry& entry(const std::string& name) const;
  // Owns the mapping, and forgets the tensor's part of it in the end.
  std::shared_ptr<const void> pages(const Entry& entry) const;

  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, Entry> entries_;
  SafeTensorsMetadata metadata_;
};

// Writes tensors of any dtype, from any device, atomically (AtomicFile). The file depends on the arguments alone: wider
// elements come first, so that all are aligned, and keep their order otherwise. Throws Error for an undefined tensor,
// for a name that appears twice, is "__metadata__" or is not UTF-8, and as AtomicFile does.
void save_safetensors(const std::filesystem::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                      const SafeTensorsMetadata& metadata = {});

// A tensor that is to be written: f16, bf16, f32 or f64.
struct SafeTensorsEntry {
  std::string name;
  Shape shape;
  SafeTensors::ElementType type;
};
SafeTensors::ElementType element_type(DType type);
std::size_t size_of(SafeTensors::ElementType type);

// The same, in this order, one tensor in memory at a time: `tensor` gives each, of any real dtype on any device, and it
// is rounded to its entry's type, f16 by way of f32. Throws Error, besides, for a tensor of another shape.
void save_safetensors(const std::filesystem::path& path, const std::vector<SafeTensorsEntry>& entries,
                      const std::function<Tensor(const std::string& name)>& tensor,
                      const SafeTensorsMetadata& metadata = {});

}  // namespace csreft
