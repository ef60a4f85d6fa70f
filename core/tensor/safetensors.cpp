#include "core/tensor/safetensors.h"

#include <algorithm>
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

// Reads and checks one entry of the header; `where` begins every message.
struct EntryParser {
  std::string where;
  std::span<const std::byte> data;

  std::pair<ElementType, std::uint64_t> read_type(const nlohmann::json& entry) const {
    const auto name = get_json<std::string>(entry, "dtype", where);
    if (name == "F16") return {ElementType::f16, 2};
    if (name == "BF16") return {ElementType::bf16, 2};
    if (name == "F32") return {ElementType::f32, 4};
    if (name == "F64") return {ElementType::f64, 8};
    if (name == "I32") return {ElementType::i32, 4};
    if (name == "I64") return {ElementType::i64, 8};
    fail("{}: dtype {} is not supported: expected F16, BF16, F32, F64, I32 or I64", where, name);
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
    const auto [type, element_bytes] = read_type(entry);
    const auto [shape, elements] = read_shape(entry);
    const auto offsets = read_integers(entry, "data_offsets");
    require(offsets.size() == 2 && offsets[0] <= offsets[1],
            "{}: `data_offsets` is {}: expected [begin, end] with begin <= end", where, entry["data_offsets"].dump());
    require(offsets[1] <= data.size(),
            "{}: bytes [{}, {}) lie outside the file: expected at most {} (is it truncated?)", where, offsets[0],
            offsets[1], data.size());
    const std::uint64_t bytes = offsets[1] - offsets[0];
    require(elements <= bytes && elements * element_bytes == bytes, "{}: {} bytes do not fit shape {} of {}", where,
            bytes, shape.str(), entry["dtype"].get<std::string>());
    return {type, shape, data.subspan(offsets[0], bytes)};
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
    case ElementType::i64: break;
  }
  return DType::i32;
}

std::shared_ptr<const void> SafeTensors::pages(const Entry& entry) const {
  return {entry.bytes.data(), [file = file_, part = entry.bytes](const void*) { file->forget(part); }};
}

std::optional<std::int64_t> SafeTensors::stored_bytes(const std::string& name) const {
  const Entry& found = entry(name);
  const bool is_stored = found.type == ElementType::bf16 || found.type == ElementType::f16;
  if (found.shape.rank() != 2 || !is_stored) return std::nullopt;
  return static_cast<std::int64_t>(found.bytes.size());
}

StoredMatrix SafeTensors::stored(const std::string& name) const {
  require(stored_bytes(name).has_value(), "{}: tensor {} is no matrix of BF16 or F16", path().string(), name);
  const Entry& found = entry(name);
  const auto encoding = found.type == ElementType::bf16 ? bf16_encoding() : f16_encoding();
  return {found.shape, encoding, found.bytes, pages(found)};
}

Tensor SafeTensors::get(const std::string& name) const {
  const auto& [type, shape, bytes] = entry(name);
  // Here for a copy, with the last view otherwise.
  const auto last = pages(entry(name));
  if (type == ElementType::i64) return i32_from_i64(bytes, shape, fmt::format("{}: tensor {}", path().string(), name));
  if (type == ElementType::f16) return f32_from_f16(bytes, shape);
  return borrow_or_copy(bytes, shape, dtype(name), last);
}

namespace {

std::string safetensors_name(DType type) {
  switch (type) {
    case DType::f32: return "F32";
    case DType::bf16: return "BF16";
    case DType::f64: return "F64";
    case DType::i32: break;
  }
  return "I32";
}

// The header of tensors that follow each other in this order, padded to 8 bytes.
std::string make_header(const std::vector<std::pair<std::string, Tensor>>& tensors, const SafeTensorsMetadata& metadata,
                        const std::string& path) {
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    require(tensor.defined(), "cannot write {}: tensor {} is undefined, expected elements", path, name);
    require(name != "__metadata__" && !header.contains(name), "cannot write {}: two entries are named {}", path, name);
    std::vector<std::int64_t> extents;
    for (int axis = 0; axis < tensor.shape().rank(); ++axis) extents.push_back(tensor.shape()[axis]);
    header[name] = {{"dtype", safetensors_name(tensor.dtype())},
                    {"shape", extents},
                    {"data_offsets", {offset, offset + tensor.bytes()}}};
    offset += tensor.bytes();
  }
  try {
    std::string text = header.dump();
    text.append((length_bytes - text.size() % length_bytes) % length_bytes, ' ');
    return text;
  } catch (const nlohmann::json::exception&) {
    fail("cannot write {}: a name or the metadata is not UTF-8", path);
  }
}

}  // namespace

void save_safetensors(const std::filesystem::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                      const SafeTensorsMetadata& metadata) {
  auto ordered = tensors;
  std::ranges::stable_sort(ordered, std::ranges::greater{},
                           [](const auto& named) { return size_of(named.second.dtype()); });
  const std::string header = make_header(ordered, metadata, path.string());
  const std::uint64_t header_bytes = header.size();
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&header_bytes, 1)));
  file.write(header);
  for (const auto& [_, tensor] : ordered) {
    const Tensor here = tensor.to(Device{});
    file.write({static_cast<const std::byte*>(here.raw()), here.bytes()});
  }
  file.commit();
}

}  // namespace csreft
