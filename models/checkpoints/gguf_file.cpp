#include "models/checkpoints/gguf_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "core/base/json_file.h"

namespace csreft {
namespace {

constexpr std::uint32_t gguf_magic = 0x46554747;  // "GGUF"
constexpr int max_nesting = 4;
// Far beyond any vocabulary.
constexpr std::uint64_t max_array = 1 << 24;

// The numbers of the format's value types.
enum class ValueType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

// The fewest bytes that a value takes; 1 for types that do not exist.
std::uint64_t least_bytes(ValueType type) {
  switch (type) {
    case ValueType::u16:
    case ValueType::i16: return 2;
    case ValueType::u32:
    case ValueType::i32:
    case ValueType::f32: return 4;
    case ValueType::u64:
    case ValueType::i64:
    case ValueType::f64:
    case ValueType::string: return 8;
    case ValueType::array: return 12;
    default: return 1;
  }
}

// Reads the head of a file front to back; reading past the end is an Error.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, const std::string& where) : where_(where), bytes_(bytes) {}

  const std::string& where() const { return where_; }
  std::size_t position() const { return position_; }

  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  std::string string() {
    const auto length = number<std::uint64_t>();
    const auto text = take(length);
    return {static_cast<const char*>(static_cast<const void*>(text.data())), text.size()};
  }

  nlohmann::json value() { return value(static_cast<ValueType>(number<std::uint32_t>()), 0); }

 private:
  void require_left(std::uint64_t n) const {
    require(n <= bytes_.size() - position_, "{} is truncated or corrupt: {} bytes wanted at byte {} of {}", where_, n,
            position_, bytes_.size());
  }

  std::span<const std::byte> take(std::uint64_t n) {
    require_left(n);
    const auto taken = bytes_.subspan(position_, n);
    position_ += n;
    return taken;
  }

  nlohmann::json value(ValueType type, int depth) {
    switch (type) {
      case ValueType::u8: return number<std::uint8_t>();
      case ValueType::i8: return number<std::int8_t>();
      case ValueType::u16: return number<std::uint16_t>();
      case ValueType::i16: return number<std::int16_t>();
      case ValueType::u32: return number<std::uint32_t>();
      case ValueType::i32: return number<std::int32_t>();
      case ValueType::f32: return number<float>();
      case ValueType::boolean: return number<std::uint8_t>() != 0;
      case ValueType::string: return string();
      case ValueType::array: return array(depth + 1);
      case ValueType::u64: return number<std::uint64_t>();
      case ValueType::i64: return number<std::int64_t>();
      case ValueType::f64: return number<double>();
    }
    fail("{}: value type {} before byte {} does not exist", where_, static_cast<std::uint32_t>(type), position_);
  }

  nlohmann::json array(int depth) {
    require(depth <= max_nesting, "{}: arrays are nested more than {} deep", where_, max_nesting);
    const auto type = static_cast<ValueType>(number<std::uint32_t>());
    const auto count = number<std::uint64_t>();
    require(count <= max_array, "{}: an array of {} elements before byte {}: expected at most {}", where_, count,
            position_, max_array);
    auto elements = nlohmann::json::array();
    require_left(count * least_bytes(type));
    elements.get_ref<nlohmann::json::array_t&>().reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) elements.push_back(value(type, depth));
    return elements;
  }

  std::string where_;
  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
};

struct TensorInfo {
  std::string name;
  GgmlType type;
  Shape shape;
  std::uint64_t offset;
  std::uint64_t bytes;
};

// GGUF gives the fastest axis first.
Shape reversed_shape(const std::vector<std::int64_t>& dims) {
  switch (dims.size()) {
    case 1: return {dims[0]};
    case 2: return {dims[1], dims[0]};
    case 3: return {dims[2], dims[1], dims[0]};
    default: return {dims[3], dims[2], dims[1], dims[0]};
  }
}

const GgmlFormat& read_format(Cursor& cursor, const std::string& where) {
  const auto number = cursor.number<std::uint32_t>();
  const GgmlFormat* format = find_ggml_format(number);
  if (format != nullptr && format->decode != nullptr) return *format;
  std::vector<std::string_view> read;
  for (const auto& known : ggml_formats()) {
    if (known.decode != nullptr) read.push_back(known.name);
  }
  fail("{} is of type {} ({}): expected one of {}", where, format == nullptr ? "unknown" : format->name, number,
       fmt::join(read, ", "));
}

TensorInfo read_tensor_info(Cursor& cursor) {
  const auto name = cursor.string();
  const auto where = fmt::format("{}: tensor {}", cursor.where(), name);
  const auto n_dims = cursor.number<std::uint32_t>();
  require(1 <= n_dims && n_dims <= Shape::max_rank, "{} has {} axes: expected 1 to {}", where, n_dims, Shape::max_rank);
  // A float takes at least half a byte in a file, so this many elements fit none.
  constexpr std::uint64_t most = 1ULL << 48;
  std::uint64_t elements = 1;
  std::vector<std::int64_t> dims;
  for (std::uint32_t axis = 0; axis < n_dims; ++axis) {
    const auto extent = cursor.number<std::uint64_t>();
    require(0 < extent && extent <= most / elements, "{}: axis {} has an absurd extent, {}", where, axis, extent);
    elements *= extent;
    dims.push_back(static_cast<std::int64_t>(extent));
  }
  const GgmlFormat& format = read_format(cursor, where);
  const auto block = format.block;
  require(dims[0] % block.elements == 0, "{}: rows of {} elements are no whole blocks of {}", where, dims[0],
          block.elements);
  const auto offset = cursor.number<std::uint64_t>();
  const auto bytes = elements / static_cast<std::uint64_t>(block.elements) * static_cast<std::uint64_t>(block.bytes);
  return {name, static_cast<GgmlType>(format.number), reversed_shape(dims), offset, bytes};
}

// `general.alignment`, 32 where it is absent.
std::uint64_t read_alignment(const nlohmann::json& metadata, const std::string& where) {
  const auto alignment = find_json<std::int64_t>(metadata, "general.alignment", where).value_or(32);
  require(8 <= alignment && alignment <= 1 << 20 && std::has_single_bit(static_cast<std::uint64_t>(alignment)),
          "{}: general.alignment is {}: expected a power of two, 8 or more", where, alignment);
  return static_cast<std::uint64_t>(alignment);
}

// Throws Error unless each tensor starts aligned, ends inside the data and leaves the next its own bytes.
void check_layout(std::vector<TensorInfo> infos, std::uint64_t alignment, std::uint64_t data_bytes,
                  const std::string& where) {
  std::ranges::sort(infos, {}, &TensorInfo::offset);
  const TensorInfo* previous = nullptr;
  for (const auto& info : infos) {
    require(info.offset % alignment == 0, "{}: tensor {} starts at byte {}: expected a multiple of {}", where,
            info.name, info.offset, alignment);
    require(info.offset <= data_bytes && info.bytes <= data_bytes - info.offset,
            "{}: tensor {} ends outside the file: {} bytes at {} of {} (is it truncated?)", where, info.name,
            info.bytes, info.offset, data_bytes);
    require(!previous || previous->offset + previous->bytes <= info.offset, "{}: tensors {} and {} overlap", where,
            previous ? previous->name : "", info.name);
    previous = &info;
  }
}

void check_magic(Cursor& cursor, std::span<const std::byte> bytes) {
  const std::string_view text(static_cast<const char*>(static_cast<const void*>(bytes.data())), bytes.size());
  for (const std::string_view older : {"lmgg", "fmgg", "tjgg"}) {
    require(!text.starts_with(older), "{} is of a format that llama.cpp had before GGUF: convert it to GGUF",
            cursor.where());
  }
  const auto found = cursor.number<std::uint32_t>();
  require(found == gguf_magic, "{} is no GGUF file: it begins with {:#010x}, expected \"GGUF\"", cursor.where(), found);
}

void check_version(Cursor& cursor) {
  const auto version = cursor.number<std::uint32_t>();
  require((version & 0xffffU) != 0, "{}: the GGUF file is big endian: expected little endian", cursor.where());
  require(version == 2 || version == 3, "{}: GGUF version {}: expected 2 or 3", cursor.where(), version);
}

GgufFile open_part(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  GgufFile part = parse_gguf(file->bytes(), path.string());
  for (auto& [_, tensor] : part.tensors) tensor.file = file;
  return part;
}

// The most that a name of five digits can count.
constexpr std::int64_t max_parts = 99'999;

struct Split {
  std::int64_t number;  // of this part, from 1
  std::int64_t count;   // of parts; 1 for a file that is whole
};

Split read_split(const nlohmann::json& metadata, const std::string& where) {
  const auto number = find_json<std::int64_t>(metadata, "split.no", where).value_or(0);
  const auto count = std::max<std::int64_t>(1, find_json<std::int64_t>(metadata, "split.count", where).value_or(1));
  require(count <= max_parts && 0 <= number && number < count,
          "{}: split.no is {} and split.count {}: expected parts from 0, {} at most", where, number, count, max_parts);
  return {number + 1, count};
}

std::string part_ending(std::int64_t number, std::int64_t count) {
  return fmt::format("-{:05}-of-{:05}.gguf", number, count);
}

// The paths of all parts, of which `path` is one. Throws Error for those that are not there.
std::vector<std::filesystem::path> part_paths(const std::filesystem::path& path, const Split& split) {
  const auto name = path.filename().string();
  const auto ending = part_ending(split.number, split.count);
  require(name.ends_with(ending), "{} is part {} of {}, which its name does not say: expected NAME{}", path.string(),
          split.number, split.count, ending);
  std::vector<std::filesystem::path> paths;
  std::vector<std::string> missing;
  for (std::int64_t number = 1; number <= split.count; ++number) {
    const auto part = name.substr(0, name.size() - ending.size()) + part_ending(number, split.count);
    paths.push_back(path.parent_path() / part);
    if (!std::filesystem::exists(paths.back())) missing.push_back(part);
  }
  constexpr std::size_t shown = 4;
  const auto n_missing = missing.size();
  const auto more = n_missing > shown ? fmt::format(" and {} more", n_missing - shown) : "";
  missing.resize(std::min(n_missing, shown));
  require(missing.empty(), "{} is part {} of {}: expected {}{} beside it", path.string(), split.number, split.count,
          fmt::join(missing, ", "), more);
  return paths;
}

}  // namespace

GgufFile parse_gguf(std::span<const std::byte> bytes, const std::string& where) {
  GgufFile result{.metadata = nlohmann::json::object(), .tensors = {}};
  Cursor cursor(bytes, where);
  check_magic(cursor, bytes);
  check_version(cursor);
  const auto n_tensors = cursor.number<std::uint64_t>();
  const auto n_keys = cursor.number<std::uint64_t>();
  for (std::uint64_t i = 0; i < n_keys; ++i) {
    const auto key = cursor.string();
    require(!result.metadata.contains(key), "{}: key {} appears twice", where, key);
    result.metadata[key] = cursor.value();
  }
  std::vector<TensorInfo> infos;
  for (std::uint64_t i = 0; i < n_tensors; ++i) infos.push_back(read_tensor_info(cursor));

  const auto alignment = read_alignment(result.metadata, where);
  const auto data_begin = std::min((cursor.position() + alignment - 1) / alignment * alignment, bytes.size());
  const auto data = bytes.subspan(data_begin);
  check_layout(infos, alignment, data.size(), where);
  for (const auto& info : infos) {
    const GgufTensor tensor{info.type, info.shape, data.subspan(info.offset, info.bytes), nullptr};
    require(result.tensors.emplace(info.name, tensor).second, "{}: tensor {} appears twice", where, info.name);
  }
  return result;
}

GgufFile read_gguf(const std::filesystem::path& path) {
  GgufFile whole = open_part(path);
  const Split split = read_split(whole.metadata, path.string());
  if (split.count == 1) return whole;
  const auto paths = part_paths(path, split);
  std::vector<GgufFile> parts(paths.size());
  const auto given = static_cast<std::size_t>(split.number - 1);
  std::swap(parts[given], whole);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i != given) parts[i] = open_part(paths[i]);
    const Split own = read_split(parts[i].metadata, paths[i].string());
    require(own.number == static_cast<std::int64_t>(i) + 1 && own.count == split.count,
            "{} says that it is part {} of {}: expected {} of {}", paths[i].string(), own.number, own.count, i + 1,
            split.count);
    whole.tensors.merge(parts[i].tensors);
    require(parts[i].tensors.empty(), "{}: tensor {} is in a part before, too", paths[i].string(),
            parts[i].tensors.empty() ? "" : parts[i].tensors.begin()->first);
  }
  whole.metadata = std::move(parts.front().metadata);
  const auto n_tensors = static_cast<std::int64_t>(whole.tensors.size());
  const auto stated = find_json<std::int64_t>(whole.metadata, "split.tensors.count", path.string()).value_or(n_tensors);
  require(stated == n_tensors, "{}: its {} parts hold {} tensors: split.tensors.count says {}", path.string(),
          split.count, n_tensors, stated);
  return whole;
}

}  // namespace csreft
