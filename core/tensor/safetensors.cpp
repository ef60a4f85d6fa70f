#include "core/tensor/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include "core/base/atomic_file.h"
#include "core/base/json_file.h"
#include "core/tensor/half.h"

namespace csreft {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little endian, and are mapped as they are");

using ElementType = SafeTensors::ElementType;

constexpr std::size_t length_bytes = 8;
// The format's own limit.
constexpr std::uint64_t max_header_bytes = 100'000'000;

Tensor f32_from_f16(std::span<const std::byte> bytes, Shape shape) {
  Tensor t = Tensor::empty(shape);
  float* to = t.data<float>();
  const std::int64_t n = t.numel();
#pragma omp parallel for simd schedule(static)
  for (std::int64_t i = 0; i < n; ++i) {
    std::uint16_t half;
    std::memcpy(&half, bytes.data() + 2 * i, 2);
    to[i] = half_to_float(half);
  }
  return t;
}

Tensor i32_from_i64(std::span<const std::byte> bytes, Shape shape, const std::string& where) {
  Tensor t = Tensor::empty(shape, DType::i32);
  const auto to = t.span<std::int32_t>();
  for (std::size_t i = 0; i < to.size(); ++i) {
    std::int64_t value;
    std::memcpy(&value, bytes.data() + 8 * i, 8);
    require(std::in_range<std::int32_t>(value), "{}: element {} is {}: expected a 32-bit integer", where, i, value);
    to[i] = static_cast<std::int32_t>(value);
  }
  return t;
}

Tensor borrow_or_copy(std::span<const std::byte> bytes, Shape shape, DType dtype,
                      const std::shared_ptr<const void>& pages) {
  if (std::bit_cast<std::uintptr_t>(bytes.data()) % size_of(dtype) == 0) {
    return Tensor::borrow(bytes.data(), shape, dtype, pages);
  }
  Tensor t = Tensor::empty(shape, dtype);
  std::memcpy(t.raw(), bytes.data(), bytes.size());
  return t;
}

struct StoredType {
  std::string_view name;
  ElementType type;
  std::uint64_t bytes;
};

// The format's types of whole bytes.
constexpr std::array stored_types{
    StoredType{"F16", ElementType::f16, 2},       StoredType{"BF16", ElementType::bf16, 2},
    StoredType{"F32", ElementType::f32, 4},       StoredType{"F64", ElementType::f64, 8},
    StoredType{"I32", ElementType::i32, 4},       StoredType{"I64", ElementType::i64, 8},
    StoredType{"BOOL", ElementType::other, 1},    StoredType{"U8", ElementType::other, 1},
    StoredType{"I8", ElementType::other, 1},      StoredType{"F8_E4M3", ElementType::other, 1},
    StoredType{"F8_E5M2", ElementType::other, 1}, StoredType{"F8_E8M0", ElementType::other, 1},
    StoredType{"I16", ElementType::other, 2},     StoredType{"U16", ElementType::other, 2},
    StoredType{"U32", ElementType::other, 4},     StoredType{"U64", ElementType::other, 8},
    StoredType{"C64", ElementType::other, 8},
};

// How a matrix of this type is kept as it is stored; null for types that are not.
std::shared_ptr<const RowEncoding> encoding_of(ElementType type) {
  switch (type) {
    case ElementType::bf16: return bf16_encoding();
    case ElementType::f16: return f16_encoding();
    case ElementType::f64: return f64_encoding();
    default: return nullptr;
  }
}

const StoredType& stored_type(ElementType type) { return *std::ranges::find(stored_types, type, &StoredType::type); }

// Reads and checks one entry of the header; `where` begins every message.
struct EntryParser {
  std::string where;
  std::span<const std::byte> data;

  const StoredType& read_type(const nlohmann::json& entry) const {
    const auto name = get_json<std::string>(entry, "dtype", where);
    const auto found = std::ranges::find(stored_types, name, &StoredType::name);
    require(found != stored_types.end(), "{}: dtype {} is not one of the format's: expected F16, BF16, F32 or F64",
            where, name);
    return *found;
  }

  // The list of non-negative integers under `key`.
  std::vector<std::uint64_t> read_integers(const nlohmann::json& entry, const std::string& key) const {
    const auto found = entry.find(key);
    require(found != entry.end() && found->is_array() &&
                std::ranges::all_of(*found, [](const auto& value) { return value.is_number_unsigned(); }),
            "{}: `{}` is missing or wrong: expected a list of non-negative integers", where, key);
    return found->get<std::vector<std::uint64_t>>();
  }

  // The shape, and how many elements it has; an overflow is an Error.
  std::pair<Shape, std::uint64_t> read_shape(const nlohmann::json& entry) const {
    const auto extents = read_integers(entry, "shape");
    require(extents.size() <= Shape::max_rank, "{}: the shape has {} axes: expected at most {}", where, extents.size(),
            Shape::max_rank);
    constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
    std::uint64_t n = 1;
    for (const auto extent : extents) {
      require(extent == 0 || (extent <= most && n <= most / extent),
              "{}: the shape's number of elements overflows: expected one that fits the file", where);
      n *= extent;
    }
    const auto at = [&](std::size_t axis) { return static_cast<std::int64_t>(extents[axis]); };
    switch (extents.size()) {
      case 0: return {Shape{}, n};
      case 1: return {Shape{at(0)}, n};
      case 2: return {Shape{at(0), at(1)}, n};
      case 3: return {Shape{at(0), at(1), at(2)}, n};
      default: return {Shape{at(0), at(1), at(2), at(3)}, n};
    }
  }

  SafeTensors::Entry read_entry(const nlohmann::json& entry) const {
    require(entry.is_object(), "{}: the entry is {}: expected an object", where, entry.type_name());
    const auto [type_name, type, element_bytes] = read_type(entry);
    const auto [shape, elements] = read_shape(entry);
    const auto offsets = read_integers(entry, "data_offsets");
    require(offsets.size() == 2 && offsets[0] <= offsets[1],
            "{}: `data_offsets` is {}: expected [begin, end] with begin <= end", where, entry["data_offsets"].dump());
    require(offsets[1] <= data.size(),
            "{}: bytes [{}, {}) lie outside the file: expected at most {} (is it truncated?)", where, offsets[0],
            offsets[1], data.size());
    const std::uint64_t bytes = offsets[1] - offsets[0];
    require(elements <= bytes && elements * element_bytes == bytes, "{}: {} bytes do not fit shape {} of {}", where,
            bytes, shape.str(), type_name);
    return {type, shape, data.subspan(offsets[0], bytes), std::string(type_name)};
  }
};

SafeTensorsMetadata read_metadata(const nlohmann::json& object, const std::string& where) {
  require(object.is_object(), "{}: `__metadata__` is {}: expected an object of strings", where, object.type_name());
  SafeTensorsMetadata metadata;
  for (const auto& [key, value] : object.items()) metadata[key] = get_json<std::string>(object, key, where);
  return metadata;
}

struct Range {
  const std::string* name;
  std::span<const std::byte> bytes;
};

// Throws Error unless the ranges cover `data` without overlaps and holes.
void check_cover(std::vector<Range> ranges, std::span<const std::byte> data, const std::string& path) {
  std::ranges::sort(ranges, [](const Range& a, const Range& b) {
    return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
  });
  const std::byte* end = data.data();
  const std::string* previous = nullptr;
  for (const auto& [name, bytes] : ranges) {
    require(bytes.data() >= end, "{}: tensors {} and {} overlap", path, previous ? *previous : "", *name);
    require(bytes.data() == end, "{}: {} bytes before tensor {} belong to no tensor", path, bytes.data() - end, *name);
    end = bytes.data() + bytes.size();
    previous = name;
  }
  const auto left = data.data() + data.size() - end;
  require(left == 0, "{}: the last {} bytes belong to no tensor", path, left);
}

}  // namespace

SafeTensors SafeTensors::open(const std::filesystem::path& path) {
  SafeTensors result;
  result.file_ = MappedFile::open(path);
  const auto bytes = result.file_->bytes();
  require(bytes.size() >= length_bytes, "{} is truncated: {} bytes, expected a safetensors file", path.string(),
          bytes.size());
  std::uint64_t header_bytes;
  std::memcpy(&header_bytes, bytes.data(), length_bytes);
  require(header_bytes <= max_header_bytes && header_bytes <= bytes.size() - length_bytes,
          "{}: the header's length is {} in a file of {} bytes: truncated, or not a safetensors file", path.string(),
          header_bytes, bytes.size());
  const auto data = bytes.subspan(length_bytes + header_bytes);
  const std::string_view text(static_cast<const char*>(static_cast<const void*>(bytes.data())) + length_bytes,
                              header_bytes);
  const auto header = parse_json_object(text, fmt::format("{}: the safetensors header", path.string()));

  std::vector<Range> ranges;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      result.metadata_ = read_metadata(value, path.string());
      continue;
    }
    const EntryParser parser{fmt::format("{}: tensor {}", path.string(), name), data};
    const auto [inserted, _] = result.entries_.emplace(name, parser.read_entry(value));
    ranges.push_back({&inserted->first, inserted->second.bytes});
  }
  check_cover(std::move(ranges), data, path.string());
  return result;
}

std::vector<std::string> SafeTensors::names() const {
  std::vector<std::string> names;
  for (const auto& [name, _] : entries_) names.push_back(name);
  return names;
}

const SafeTensors::Entry& SafeTensors::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  require(found != entries_.end(), "{} holds no tensor {}", path().string(), name);
  return found->second;
}

DType SafeTensors::dtype(const std::string& name) const {
  switch (entry(name).type) {
    case ElementType::f16:
    case ElementType::f32: return DType::f32;
    case ElementType::bf16: return DType::bf16;
    case ElementType::f64: return DType::f64;
    case ElementType::i32:
    case ElementType::i64: return DType::i32;
    case ElementType::other: break;
  }
  fail("{}: tensor {} is of type {}, which is not read: expected F16, BF16, F32, F64, I32 or I64", path().string(),
       name, type_name(name));
}

std::shared_ptr<const void> SafeTensors::pages(const Entry& entry) const {
  return {entry.bytes.data(), [file = file_, part = entry.bytes](const void*) { file->forget(part); }};
}

std::optional<std::int64_t> SafeTensors::stored_bytes(const std::string& name) const {
  const Entry& found = entry(name);
  if (found.shape.rank() != 2 || encoding_of(found.type) == nullptr) return std::nullopt;
  return static_cast<std::int64_t>(found.bytes.size());
}

StoredMatrix SafeTensors::stored(const std::string& name) const {
  require(stored_bytes(name).has_value(), "{}: tensor {} is no matrix of BF16, F16 or F64", path().string(), name);
  const Entry& found = entry(name);
  return {found.shape, encoding_of(found.type), found.bytes, pages(found)};
}

Tensor SafeTensors::get(const std::string& name) const {
  const Entry& found = entry(name);
  const DType read_as = dtype(name);
  // Here for a copy, with the last view otherwise.
  const auto last = pages(found);
  if (found.type == ElementType::i64) {
    return i32_from_i64(found.bytes, found.shape, fmt::format("{}: tensor {}", path().string(), name));
  }
  if (found.type == ElementType::f16) return f32_from_f16(found.bytes, found.shape);
  return borrow_or_copy(found.bytes, found.shape, read_as, last);
}

namespace {

// The header of tensors that follow each other in this order, padded to 8 bytes.
std::string make_header(const std::vector<SafeTensorsEntry>& entries, const SafeTensorsMetadata& metadata,
                        const std::string& path) {
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (const auto& [name, shape, type] : entries) {
    require(name != "__metadata__" && !header.contains(name), "cannot write {}: two entries are named {}", path, name);
    std::vector<std::int64_t> extents;
    for (int axis = 0; axis < shape.rank(); ++axis) extents.push_back(shape[axis]);
    const std::size_t end = offset + static_cast<std::size_t>(shape.numel()) * size_of(type);
    header[name] = {{"dtype", stored_type(type).name}, {"shape", extents}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  try {
    std::string text = header.dump();
    text.append((length_bytes - text.size() % length_bytes) % length_bytes, ' ');
    return text;
  } catch (const nlohmann::json::exception&) {
    fail("cannot write {}: a name or the metadata is not UTF-8", path);
  }
}

std::span<const std::byte> bytes_of(const Tensor& t) { return {static_cast<const std::byte*>(t.raw()), t.bytes()}; }

void write_f16(AtomicFile& file, const Tensor& values) {
  std::vector<std::uint16_t> halves(static_cast<std::size_t>(values.numel()));
  const float* from = values.data<const float>();
  const std::int64_t n = values.numel();
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < n; ++i) halves[static_cast<std::size_t>(i)] = float_to_half(from[i]);
  file.write(std::as_bytes(std::span(halves)));
}

// Of a type that is written.
DType dtype_of(ElementType type) {
  switch (type) {
    case ElementType::bf16: return DType::bf16;
    case ElementType::f64: return DType::f64;
    case ElementType::i32: return DType::i32;
    default: return DType::f32;
  }
}

}  // namespace

ElementType element_type(DType type) {
  switch (type) {
    case DType::f32: return ElementType::f32;
    case DType::bf16: return ElementType::bf16;
    case DType::f64: return ElementType::f64;
    case DType::i32: break;
  }
  return ElementType::i32;
}

std::size_t size_of(ElementType type) { return stored_type(type).bytes; }

void save_safetensors(const std::filesystem::path& path, const std::vector<SafeTensorsEntry>& entries,
                      const std::function<Tensor(const std::string&)>& tensor, const SafeTensorsMetadata& metadata) {
  const std::string header = make_header(entries, metadata, path.string());
  const std::uint64_t header_bytes = header.size();
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&header_bytes, 1)));
  file.write(header);
  for (const auto& [name, shape, type] : entries) {
    const Tensor value = tensor(name).to({dtype_of(type), Device{}});
    require(value.shape() == shape, "cannot write {}: tensor {} has shape {}, expected {}", path.string(), name,
            value.shape().str(), shape.str());
    if (type == ElementType::f16) {
      write_f16(file, value);
    } else {
      file.write(bytes_of(value));
    }
  }
  file.commit();
}

void save_safetensors(const std::filesystem::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                      const SafeTensorsMetadata& metadata) {
  auto ordered = tensors;
  std::ranges::stable_sort(ordered, std::ranges::greater{},
                           [](const auto& named) { return size_of(named.second.dtype()); });
  std::vector<SafeTensorsEntry> entries;
  for (const auto& [name, tensor] : ordered) {
    require(tensor.defined(), "cannot write {}: tensor {} is undefined, expected elements", path.string(), name);
    entries.push_back({name, tensor.shape(), element_type(tensor.dtype())});
  }
  auto next = ordered.begin();
  save_safetensors(
      path, entries, [&next](const std::string&) { return (next++)->second; }, metadata);
}

}  // namespace csreft
