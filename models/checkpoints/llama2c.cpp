#include "models/checkpoints/llama2c.h"

#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>

#include "core/base/error.h"
#include "core/base/mapped_file.h"

namespace csreft {
namespace {

static_assert(std::endian::native == std::endian::little, "llama2.c's files are little endian");

constexpr std::uint32_t magic = 0x616b3432;
constexpr std::size_t header_bytes_v1 = 256;

struct Header {
  std::array<std::int32_t, 7> sizes;
  bool shared_head;
  bool legacy;
  std::size_t bytes;
};

template <typename T>
T load(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.subspan(offset, sizeof(T)).data(), sizeof(T));
  return value;
}

Header read_header(std::span<const std::byte> bytes, const std::string& where) {
  Header header{};
  require(bytes.size() >= sizeof(header.sizes), "{} is truncated: {} bytes, expected a llama2.c file", where,
          bytes.size());
  header.legacy = load<std::uint32_t>(bytes, 0) != magic;
  if (header.legacy) {
    header.sizes = load<decltype(header.sizes)>(bytes, 0);
    header.shared_head = header.sizes[5] > 0;
    // The one negative size is a flag; -2^31 stays as it is and is refused with the other sizes.
    if (!header.shared_head && header.sizes[5] != std::numeric_limits<std::int32_t>::min()) {
      header.sizes[5] = -header.sizes[5];
    }
    header.bytes = sizeof(header.sizes);
    return header;
  }
  const auto version = load<std::int32_t>(bytes, 4);
  require(version == 1, "{}: llama2.c version {}{}: expected 0 or 1 (float32)", where, version,
          version == 2 ? " (int8)" : "");
  require(bytes.size() >= header_bytes_v1, "{} is truncated: {} bytes, expected a header of {}", where, bytes.size(),
          header_bytes_v1);
  header.sizes = load<decltype(header.sizes)>(bytes, 8);
  header.shared_head = load<std::uint8_t>(bytes, 8 + sizeof(header.sizes)) != 0;
  header.bytes = header_bytes_v1;
  return header;
}

LlamaConfig make_config(const Header& header, const std::string& where) {
  const auto& [dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len] = header.sizes;
  require(n_heads > 0 && dim % n_heads == 0,
          "{}: {} attention heads do not divide the hidden size {}: corrupt, or not a llama2.c file", where, n_heads,
          dim);
  LlamaConfig config;
  config.hidden_size = dim;
  config.intermediate_size = hidden_dim;
  config.n_layers = n_layers;
  config.n_heads = n_heads;
  config.n_kv_heads = n_kv_heads;
  config.head_dim = dim / n_heads;
  config.vocab_size = vocab_size;
  config.max_position_embeddings = seq_len;
  config.rms_norm_eps = 1e-5;
  config.rope_theta = 10'000;
  config.tie_word_embeddings = header.shared_head;
  config.bos_token_id = 1;
  config.eos_token_ids = {2, 1};
  check_config(config, where);
  return config;
}

// The names of all tensors in the order of the file, where each part of a block is stored for all layers in turn. ""
// stands for the cosines and sines of the rotation, which version 0 holds and nobody reads.
std::vector<std::string> file_order(const LlamaConfig& config, bool legacy) {
  std::vector<std::string> order;
  const auto add = [&](const std::string& name) { order.push_back(name); };
  const auto add_layers = [&](const std::string& part) {
    for (std::int64_t n = 0; n < config.n_layers; ++n) add(fmt::format("model.layers.{}.{}.weight", n, part));
  };
  if (legacy) {
    add("model.embed_tokens.weight");
    add_layers("input_layernorm");
  } else {
    add_layers("input_layernorm");
    add_layers("post_attention_layernorm");
    add("model.norm.weight");
    add("model.embed_tokens.weight");
  }
  for (const char* part : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"}) {
    add_layers(part);
  }
  if (legacy) add_layers("post_attention_layernorm");
  for (const char* part : {"mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"}) add_layers(part);
  if (legacy) {
    add("model.norm.weight");
    add("");
  }
  if (!config.tie_word_embeddings) add("lm_head.weight");
  return order;
}

struct StoredTensor {
  Shape shape;
  const std::byte* values;
};

std::map<std::string, StoredTensor> locate_tensors(const Header& header, const LlamaConfig& config,
                                                   std::span<const std::byte> bytes, const std::string& where) {
  std::map<std::string, Shape> shapes;
  for (const auto& [name, shape] : parameter_shapes(config)) shapes.emplace(name, shape);
  // cos and sin of each position and pair
  shapes.emplace("", Shape{2, config.max_position_embeddings, config.head_dim / 2});
  std::map<std::string, StoredTensor> tensors;
  std::size_t offset = header.bytes;
  for (const auto& name : file_order(config, header.legacy)) {
    const Shape shape = shapes.at(name);
    const auto size = static_cast<std::size_t>(shape.numel()) * sizeof(float);
    require(size <= bytes.size() - offset, "{} is truncated or corrupt: {} bytes, too few for the sizes in its header",
            where, bytes.size());
    if (!name.empty()) tensors.emplace(name, StoredTensor{shape, bytes.data() + offset});
    offset += size;
  }
  require(offset == bytes.size(), "{} has {} bytes: its header demands {}", where, bytes.size(), offset);
  return tensors;
}

// The rows of q or k in Hugging Face's order, as a copy.
Tensor copy_interleaved(const StoredTensor& stored, std::int64_t head_dim) {
  Tensor result = Tensor::empty(stored.shape);
  const auto row_bytes = static_cast<std::size_t>(stored.shape[1]) * sizeof(float);
  for (std::int64_t row = 0; row < stored.shape[0]; ++row) {
    const auto from = static_cast<std::size_t>(interleaved_row(row, head_dim));
    std::memcpy(result.data<float>() + row * stored.shape[1], stored.values + from * row_bytes, row_bytes);
  }
  return result;
}

}  // namespace

Checkpoint open_llama2c(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  const auto header = read_header(file->bytes(), path.string());
  Checkpoint checkpoint;
  checkpoint.config = make_config(header, path.string());
  auto tensors = locate_tensors(header, checkpoint.config, file->bytes(), path.string());
  for (const auto& [name, tensor] : tensors) checkpoint.shapes.emplace(name, tensor.shape);
  const auto vocabulary = path.parent_path() / "tokenizer.bin";
  const auto sentencepiece = path.parent_path() / "tokenizer.model";
  const bool has_only_model = !std::filesystem::exists(vocabulary) && std::filesystem::exists(sentencepiece);
  checkpoint.tokenizer = TokenizerFile{has_only_model ? sentencepiece : vocabulary};
  checkpoint.read = [file, tensors = std::move(tensors),
                     head_dim = checkpoint.config.head_dim](const std::string& name) {
    const auto& stored = tensors.at(name);
    if (is_rotated(name)) return copy_interleaved(stored, head_dim);
    return Tensor::borrow(stored.values, stored.shape, DType::f32, file);
  };
  return checkpoint;
}

}  // namespace csreft
