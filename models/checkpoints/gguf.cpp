#include "models/checkpoints/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "core/base/json_file.h"
#include "models/checkpoints/gguf_encodings.h"

namespace csreft {
namespace {

constexpr std::uint32_t magic = 0x46554747;  // "GGUF"
constexpr int max_nesting = 4;
// Far beyond any vocabulary. The counts of a file are never used to reserve memory.
constexpr std::uint64_t max_array = 1 << 24;

// The numbers of the format's value types.
enum class ValueType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

// Reads the head of a file front to back; reading past the end is an Error.
class Cursor {
 public:
  explicit Cursor(const MappedFile& file) : where_(file.path().string()), bytes_(file.bytes()) {}

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
  std::span<const std::byte> take(std::uint64_t n) {
    require(n <= bytes_.size() - position_, "{} is truncated or corrupt: {} bytes wanted at byte {} of {}", where_, n,
            position_, bytes_.size());
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
  const auto number = cursor.number<std::uint32_t>();
  const auto type = ggml_type(number);
  require(type.has_value(), "{} is of type {} ({}): expected F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0", where,
          ggml_type_name(number).empty() ? "unknown" : ggml_type_name(number), number);
  const auto block = block_of(*type);
  require(dims[0] % block.elements == 0, "{}: rows of {} elements are no whole blocks of {}", where, dims[0],
          block.elements);
  const auto offset = cursor.number<std::uint64_t>();
  const auto bytes = elements / static_cast<std::uint64_t>(block.elements) * static_cast<std::uint64_t>(block.bytes);
  return {name, *type, reversed_shape(dims), offset, bytes};
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

void check_version(Cursor& cursor) {
  const auto& where = cursor.where();
  const auto found = cursor.number<std::uint32_t>();
  require(found == magic, "{} is no GGUF file: it begins with {:#010x}, expected \"GGUF\"", where, found);
  const auto version = cursor.number<std::uint32_t>();
  require((version & 0xffffU) != 0, "{}: the GGUF file is big endian: expected little endian", where);
  require(version == 2 || version == 3, "{}: GGUF version {}: expected 2 or 3", where, version);
}

}  // namespace

GgufFile read_gguf(const std::filesystem::path& path) {
  GgufFile result{.file = MappedFile::open(path), .metadata = nlohmann::json::object(), .tensors = {}};
  Cursor cursor(*result.file);
  const auto& where = cursor.where();
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
  const auto bytes = result.file->bytes();
  const auto data_begin = std::min((cursor.position() + alignment - 1) / alignment * alignment, bytes.size());
  const auto data = bytes.subspan(data_begin);
  check_layout(infos, alignment, data.size(), where);
  for (const auto& info : infos) {
    const GgufTensor tensor{info.type, info.shape, data.subspan(info.offset, info.bytes)};
    require(result.tensors.emplace(info.name, tensor).second, "{}: tensor {} appears twice", where, info.name);
  }
  return result;
}

namespace {

std::optional<std::int32_t> find_token(const nlohmann::json& metadata, const std::string& name,
                                       const std::string& where) {
  const auto id = find_json<std::int64_t>(metadata, "tokenizer.ggml." + name, where);
  require(!id || std::in_range<std::int32_t>(*id), "{}: {} is {}: expected a token id", where, name, id.value_or(0));
  return id;
}

// An array under `tokenizer.ggml.`, empty if it is absent. `holds` tells whether an element has the right type.
template <typename T, typename Holds>
std::vector<T> find_list(const nlohmann::json& metadata, const std::string& name, const std::string& where,
                         Holds holds) {
  const auto found = metadata.find("tokenizer.ggml." + name);
  if (found == metadata.end()) return {};
  require(found->is_array() && std::ranges::all_of(*found, holds), "{}: tokenizer.ggml.{} is ill-typed", where, name);
  return found->template get<std::vector<T>>();
}

TokenizerVocabulary read_vocabulary(const nlohmann::json& metadata, const std::string& where) {
  const auto is_string = [](const nlohmann::json& value) { return value.is_string(); };
  const auto is_number = [](const nlohmann::json& value) { return value.is_number(); };
  TokenizerVocabulary result;
  result.model = get_json<std::string>(metadata, "tokenizer.ggml.model", where);
  result.pre = find_json<std::string>(metadata, "tokenizer.ggml.pre", where).value_or("default");
  result.tokens = find_list<std::string>(metadata, "tokens", where, is_string);
  result.merges = find_list<std::string>(metadata, "merges", where, is_string);
  result.scores = find_list<float>(metadata, "scores", where, is_number);
  result.types = find_list<std::int32_t>(metadata, "token_type", where, is_number);
  result.bos_id = find_token(metadata, "bos_token_id", where);
  result.eos_id = find_token(metadata, "eos_token_id", where);
  result.add_bos = find_json<bool>(metadata, "tokenizer.ggml.add_bos_token", where);
  result.add_space_prefix = find_json<bool>(metadata, "tokenizer.ggml.add_space_prefix", where);

  const auto n = result.tokens.size();
  require(n > 0, "{}: tokenizer.ggml.tokens is missing: expected the vocabulary", where);
  const auto fits = [n](std::size_t size) { return size == 0 || size == n; };
  require(fits(result.scores.size()) && fits(result.types.size()), "{}: {} tokens with {} scores and {} types", where,
          n, result.scores.size(), result.types.size());
  return result;
}

// Throws Error for what changes the computation and is not built: other architectures, experts, scaled rotation other
// than rope_freqs.weight, files in parts.
void check_supported(const nlohmann::json& metadata, std::int64_t head_dim, const std::string& where) {
  require(find_json<std::int64_t>(metadata, "llama.expert_count", where).value_or(0) == 0,
          "{} is a mixture of experts: expected a plain Llama", where);
  require(find_json<std::int64_t>(metadata, "split.count", where).value_or(1) <= 1,
          "{} is one of several parts: expected a single file", where);
  const auto type = find_json<std::string>(metadata, "llama.rope.scaling.type", where).value_or("none");
  require(type == "none" || type == "linear", "{}: llama.rope.scaling.type is {}: expected none", where, type);
  for (const char* key : {"llama.rope.scaling.factor", "llama.rope.scale_linear"}) {
    const auto factor = find_json<double>(metadata, key, where).value_or(1);
    require(factor == 1, "{}: {} is {}: expected 1", where, key, factor);
  }
  const auto rotated = find_json<std::int64_t>(metadata, "llama.rope.dimension_count", where).value_or(head_dim);
  require(rotated == head_dim, "{}: rope turns {} of {} dimensions: expected all", where, rotated, head_dim);
}

LlamaConfig read_config(const GgufFile& gguf, const TokenizerVocabulary& vocabulary, const std::string& where) {
  const auto& metadata = gguf.metadata;
  const auto size = [&](const char* key) { return get_json<std::int64_t>(metadata, key, where); };
  const auto size_or = [&](const char* key, std::int64_t absent) {
    return find_json<std::int64_t>(metadata, key, where).value_or(absent);
  };
  LlamaConfig config;
  config.vocab_size = static_cast<std::int64_t>(vocabulary.tokens.size());
  const auto stated = size_or("llama.vocab_size", config.vocab_size);
  require(stated == config.vocab_size, "{}: {} tokens: llama.vocab_size says {}", where, config.vocab_size, stated);
  config.hidden_size = size("llama.embedding_length");
  config.intermediate_size = size("llama.feed_forward_length");
  config.n_layers = size("llama.block_count");
  config.n_heads = size("llama.attention.head_count");
  require(config.n_heads > 0, "{}: llama.attention.head_count is {}: expected a positive number", where,
          config.n_heads);
  config.n_kv_heads = size_or("llama.attention.head_count_kv", config.n_heads);
  config.head_dim = size_or("llama.attention.key_length", config.hidden_size / config.n_heads);
  config.max_position_embeddings = size("llama.context_length");
  config.rms_norm_eps = get_json<double>(metadata, "llama.attention.layer_norm_rms_epsilon", where);
  config.rope_theta = find_json<double>(metadata, "llama.rope.freq_base", where).value_or(config.rope_theta);
  config.tie_word_embeddings = !gguf.tensors.contains("output.weight");
  config.bos_token_id = vocabulary.bos_id;
  if (vocabulary.eos_id) config.eos_token_ids.push_back(*vocabulary.eos_id);
  const auto turn_end = find_token(metadata, "eot_token_id", where);
  if (turn_end && turn_end != vocabulary.eos_id) config.eos_token_ids.push_back(*turn_end);
  check_supported(metadata, config.head_dim, where);
  return config;
}

// The name in a GGUF file of a parameter with this Hugging Face name.
std::string gguf_name(const std::string& name) {
  static const std::map<std::string, std::string, std::less<>> parts{
      {"model.embed_tokens", "token_embd"},
      {"model.norm", "output_norm"},
      {"lm_head", "output"},
      {"input_layernorm", "attn_norm"},
      {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},
      {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"},
      {"post_attention_layernorm", "ffn_norm"},
      {"mlp.gate_proj", "ffn_gate"},
      {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"},
  };
  constexpr std::string_view layers = "model.layers.";
  constexpr std::string_view suffix = ".weight";
  const auto stem = std::string_view(name).substr(0, name.size() - suffix.size());
  if (!stem.starts_with(layers)) return fmt::format("{}{}", parts.find(stem)->second, suffix);
  const auto dot = stem.find('.', layers.size());
  return fmt::format("blk.{}.{}{}", stem.substr(layers.size(), dot - layers.size()),
                     parts.find(stem.substr(dot + 1))->second, suffix);
}

// The tensor as f32; with head_dim > 0 its rows leave Meta's order for Hugging Face's.
Tensor read_tensor(const GgufTensor& tensor, std::int64_t head_dim, const std::shared_ptr<const MappedFile>& file) {
  if (tensor.type == GgmlType::f32 && head_dim == 0) {
    return Tensor::borrow(tensor.blocks.data(), tensor.shape, DType::f32, file);
  }
  const auto columns = tensor.shape[tensor.shape.rank() - 1];
  const auto rows = tensor.shape.numel() / columns;
  const auto row_bytes = tensor.blocks.size() / static_cast<std::size_t>(rows);
  Tensor result = Tensor::empty(tensor.shape);
  float* values = result.data<float>();
#pragma omp parallel for schedule(static)
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto stored = static_cast<std::size_t>(head_dim > 0 ? interleaved_row(row, head_dim) : row);
    dequantize(tensor.type, tensor.blocks.subspan(stored * row_bytes, row_bytes), values + row * columns);
  }
  file->forget(tensor.blocks);
  return result;
}

// The same for a matrix, as it is stored.
StoredMatrix read_stored(const GgufTensor& tensor, std::int64_t head_dim,
                         const std::shared_ptr<const MappedFile>& file) {
  const StoredMatrix in_file(tensor.shape, row_encoding(tensor.type), tensor.blocks, file);
  if (head_dim == 0) return in_file;
  const auto turned = in_file.reordered([=](std::int64_t row) { return interleaved_row(row, head_dim); });
  file->forget(tensor.blocks);
  return turned;
}

}  // namespace

Checkpoint open_gguf(const std::filesystem::path& path) {
  auto gguf = read_gguf(path);
  const auto where = path.string();
  const auto architecture = get_json<std::string>(gguf.metadata, "general.architecture", where);
  require(architecture == "llama", "{}: general.architecture is {}: expected llama", where, architecture);
  auto vocabulary = read_vocabulary(gguf.metadata, where);

  Checkpoint checkpoint;
  auto& config = checkpoint.config;
  config = read_config(gguf, vocabulary, where);
  if (const auto factors = gguf.tensors.extract("rope_freqs.weight")) {
    const Tensor values = read_tensor(factors.mapped(), 0, gguf.file);
    config.rope_factors.assign(values.data<float>(), values.data<float>() + values.numel());
  }
  check_config(config, where);
  checkpoint.chat_template = find_json<std::string>(gguf.metadata, "tokenizer.chat_template", where).value_or("");
  checkpoint.tokenizer = std::move(vocabulary);

  std::map<std::string, GgufTensor> tensors;
  for (const auto& [name, _] : parameter_shapes(config)) {
    if (const auto stored = gguf.tensors.extract(gguf_name(name))) tensors.emplace(name, stored.mapped());
  }
  tensors.merge(gguf.tensors);
  for (const auto& [name, tensor] : tensors) {
    checkpoint.shapes.emplace(name, tensor.shape);
    if (tensor.type != GgmlType::f32 && tensor.shape.rank() == 2) {
      const auto bytes = static_cast<std::int64_t>(tensor.blocks.size());
      checkpoint.stored_bytes.emplace(name, bytes);
      if (is_rotated(name)) checkpoint.reordered_bytes += bytes;
    }
  }
  const auto head_dim = config.head_dim;
  const auto all = std::make_shared<const std::map<std::string, GgufTensor>>(std::move(tensors));
  checkpoint.read = [all, file = gguf.file, head_dim](const std::string& name) {
    return read_tensor(all->at(name), is_rotated(name) ? head_dim : 0, file);
  };
  checkpoint.read_stored = [all, file = gguf.file, head_dim](const std::string& name) {
    return read_stored(all->at(name), is_rotated(name) ? head_dim : 0, file);
  };
  return checkpoint;
}

}  // namespace csreft
