#include "models/checkpoints/llama2c.h"

#include <algorithm>
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

constexpr std::uint32_t llama2c_magic = 0x616b3432;
constexpr std::size_t header_bytes_v1 = 256;  // and of version 2
constexpr std::int64_t scale_bytes = sizeof(float);

struct Header {
  std::array<std::int32_t, 7> sizes;
  bool shared_head;
  std::int32_t version;
  std::int32_t group_size;  // of version 2: how many elements share a scale
  std::size_t bytes;
};

template <typename T>
T load(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.subspan(offset, sizeof(T)).data(), sizeof(T));
  return value;
}

// Throws Error for the other kinds of file that are named .bin.
void check_kind(std::span<const std::byte> bytes, const std::string& where) {
  const std::string_view text(static_cast<const char*>(static_cast<const void*>(bytes.data())), bytes.size());
  require(!text.starts_with("PK\3\4") && !text.starts_with("\x80\2\x8a"),
          "{} is a PyTorch checkpoint: expected a llama2.c file, or a folder with the weights as safetensors", where);
  for (const std::string_view older : {"lmgg", "fmgg", "tjgg"}) {
    require(!text.starts_with(older), "{} is of a format that llama.cpp had before GGUF: expected a llama2.c file",
            where);
  }
}

Header read_header(std::span<const std::byte> bytes, const std::string& where) {
  check_kind(bytes, where);
  Header header{};
  require(bytes.size() >= sizeof(header.sizes), "{} is truncated: {} bytes, expected a llama2.c file", where,
          bytes.size());
  if (load<std::uint32_t>(bytes, 0) != llama2c_magic) {
    header.sizes = load<decltype(header.sizes)>(bytes, 0);
    header.shared_head = header.sizes[5] > 0;
    // The one negative size is a flag; -2^31 stays as it is and is refused with the other sizes.
    if (!header.shared_head && header.sizes[5] != std::numeric_limits<std::int32_t>::min()) {
      header.sizes[5] = -header.sizes[5];
    }
    header.bytes = sizeof(header.sizes);
    return header;
  }
  header.version = load<std::int32_t>(bytes, 4);
  require(header.version == 1 || header.version == 2, "{}: llama2.c version {}: expected 0, 1 (float32) or 2 (int8)",
          where, header.version);
  require(bytes.size() >= header_bytes_v1, "{} is truncated: {} bytes, expected a header of {}", where, bytes.size(),
          header_bytes_v1);
  header.sizes = load<decltype(header.sizes)>(bytes, 8);
  header.shared_head = load<std::uint8_t>(bytes, 8 + sizeof(header.sizes)) != 0;
  if (header.version == 2) header.group_size = load<std::int32_t>(bytes, 9 + sizeof(header.sizes));
  require(header.version == 1 || header.group_size > 0, "{}: groups of {} elements share a scale: expected 1 or more",
          where, header.group_size);
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
std::vector<std::string> file_order(const LlamaConfig& config, std::int32_t version) {
  const bool legacy = version == 0;
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

// float32; or with scales: int8, and a float32 for each group of elements, row-major, which rows may share.
struct StoredTensor {
  Shape shape;
  const std::byte* values;
  const std::byte* scales;
  std::int64_t group_size;
};

// Takes tensors from the bytes, one after the other.
class TensorCursor {
 public:
  TensorCursor(const Header& header, std::span<const std::byte> bytes, const std::string& where)
      : header_(header), bytes_(bytes), where_(where), offset_(header.bytes) {}

  StoredTensor take(const std::string& name, const Shape& shape) {
    const auto elements = static_cast<std::size_t>(shape.numel());
    if (header_.version != 2 || shape.rank() != 2) return {shape, take_bytes(elements * sizeof(float)), nullptr, 0};
    require(shape.numel() % header_.group_size == 0, "{}: the {} elements of {} are no whole groups of {}", where_,
            shape.numel(), name, header_.group_size);
    const auto* values = take_bytes(elements);
    const auto groups = elements / static_cast<std::size_t>(header_.group_size);
    return {shape, values, take_bytes(groups * sizeof(float)), header_.group_size};
  }
  std::size_t offset() const { return offset_; }

 private:
  const std::byte* take_bytes(std::size_t size) {
    require(size <= bytes_.size() - offset_,
            "{} is truncated or corrupt: {} bytes, too few for the sizes in its header", where_, bytes_.size());
    const auto* taken = bytes_.data() + offset_;
    offset_ += size;
    return taken;
  }

  const Header& header_;
  std::span<const std::byte> bytes_;
  const std::string& where_;
  std::size_t offset_;
};

std::map<std::string, StoredTensor> locate_tensors(const Header& header, const LlamaConfig& config,
                                                   std::span<const std::byte> bytes, const std::string& where) {
  std::map<std::string, Shape> shapes;
  for (const auto& [name, shape] : parameter_shapes(config)) shapes.emplace(name, shape);
  // cos and sin of each position and pair
  shapes.emplace("", Shape{2, config.max_position_embeddings, config.head_dim / 2});
  std::map<std::string, StoredTensor> tensors;
  TensorCursor cursor(header, bytes, where);
  for (const auto& name : file_order(config, header.version)) {
    const auto stored = cursor.take(name, shapes.at(name));
    if (!name.empty()) tensors.emplace(name, stored);
  }
  require(cursor.offset() == bytes.size(), "{} has {} bytes: its header demands {}", where, bytes.size(),
          cursor.offset());
  return tensors;
}

// Elements [begin, begin + n) as floats.
void copy_elements(const StoredTensor& stored, std::int64_t begin, std::int64_t n, float* to) {
  if (stored.scales == nullptr) {
    std::memcpy(to, stored.values + begin * 4, static_cast<std::size_t>(n) * sizeof(float));
    return;
  }
  for (std::int64_t i = begin; i < begin + n;) {
    const auto group = i / stored.group_size;
    const auto end = std::min((group + 1) * stored.group_size, begin + n);
    float scale;
    std::memcpy(&scale, stored.scales + group * 4, sizeof(scale));
    for (; i < end; ++i) to[i - begin] = static_cast<float>(std::to_integer<std::int8_t>(stored.values[i])) * scale;
  }
}

// The tensor as f32, with the rows of q and k in Hugging Face's order (head_dim > 0).
Tensor read_tensor(const StoredTensor& stored, std::int64_t head_dim, const std::shared_ptr<const MappedFile>& file) {
  if (stored.scales == nullptr && head_dim == 0) {
    return Tensor::borrow(stored.values, stored.shape, DType::f32, file);
  }
  Tensor result = Tensor::empty(stored.shape);
  float* values = result.data<float>();
  const auto rows = stored.shape[0], columns = stored.shape[1];
#pragma omp parallel for schedule(static)
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto from = head_dim > 0 ? interleaved_row(row, head_dim) : row;
    copy_elements(stored, from * columns, columns, values + row * columns);
  }
  return result;
}

// A matrix in int8 stays so where its rows are whole groups: each group behind its scale.
bool keeps_int8(const StoredTensor& stored) {
  return stored.scales != nullptr && stored.shape[1] % stored.group_size == 0;
}

std::int64_t kept_bytes(const StoredTensor& stored) {
  return stored.shape.numel() / stored.group_size * (scale_bytes + stored.group_size);
}

std::shared_ptr<const RowEncoding> int8_encoding(std::int64_t group_size) {
  const auto decode = [group_size](std::span<const std::byte> groups, float* values) {
    const auto size = static_cast<std::size_t>(scale_bytes + group_size);
    for (; !groups.empty(); groups = groups.subspan(size)) {
      const auto scale = load<float>(groups, 0);
      for (const std::byte q : groups.subspan(scale_bytes, static_cast<std::size_t>(group_size))) {
        *values++ = static_cast<float>(std::to_integer<std::int8_t>(q)) * scale;
      }
    }
  };
  return std::make_shared<const RowEncoding>(RowEncoding{
      .name = "int8", .block_elements = group_size, .block_bytes = scale_bytes + group_size, .decode = decode});
}

// Such a matrix, with the rows of q and k in Hugging Face's order (head_dim > 0): a copy, since the file has all scales
// behind all elements.
StoredMatrix read_int8(const StoredTensor& stored, std::int64_t head_dim) {
  const auto copy = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(kept_bytes(stored)));
  const std::int64_t rows = stored.shape[0], groups = stored.shape[1] / stored.group_size;
  const auto size = static_cast<std::size_t>(stored.group_size);
  std::byte* to = copy->data();
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto first = (head_dim > 0 ? interleaved_row(row, head_dim) : row) * groups;
    for (auto group = first; group < first + groups; ++group) {
      std::memcpy(to, stored.scales + group * scale_bytes, scale_bytes);
      std::memcpy(to + scale_bytes, stored.values + group * stored.group_size, size);
      to += scale_bytes + stored.group_size;
    }
  }
  return {stored.shape, int8_encoding(stored.group_size), *copy, copy};
}

// Says which matrices are kept in int8, and counts what is copied where it is read.
void count_copies(const std::map<std::string, StoredTensor>& tensors, Checkpoint& checkpoint) {
  for (const auto& [name, tensor] : tensors) {
    if (keeps_int8(tensor)) {
      checkpoint.stored_bytes.emplace(name, kept_bytes(tensor));
      checkpoint.copied_bytes += kept_bytes(tensor);
    } else if (tensor.scales != nullptr || is_rotated(name)) {
      checkpoint.copied_bytes += tensor.shape.numel() * static_cast<std::int64_t>(sizeof(float));
    }
  }
}

// tokN.bin of a vocabulary of N, tokenizer.bin, or the SentencePiece models that they are made from: the first that
// lies beside the model; tokenizer.bin where there is none.
std::filesystem::path find_tokenizer(const std::filesystem::path& folder, std::int64_t vocab_size) {
  for (const auto& name : {fmt::format("tok{}.bin", vocab_size), std::string("tokenizer.bin"),
                           fmt::format("tok{}.model", vocab_size), std::string("tokenizer.model")}) {
    if (std::filesystem::exists(folder / name)) return folder / name;
  }
  return folder / "tokenizer.bin";
}

}  // namespace

Checkpoint open_llama2c(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  const auto header = read_header(file->bytes(), path.string());
  Checkpoint checkpoint;
  checkpoint.config = make_config(header, path.string());
  auto tensors = locate_tensors(header, checkpoint.config, file->bytes(), path.string());
  for (const auto& [name, tensor] : tensors) checkpoint.shapes.emplace(name, tensor.shape);
  count_copies(tensors, checkpoint);
  checkpoint.tokenizer = TokenizerFile{find_tokenizer(path.parent_path(), checkpoint.config.vocab_size)};
  const auto all = std::make_shared<const std::map<std::string, StoredTensor>>(std::move(tensors));
  const auto head_dim = checkpoint.config.head_dim;
  checkpoint.read = [file, all, head_dim](const std::string& name) {
    return read_tensor(all->at(name), is_rotated(name) ? head_dim : 0, file);
  };
  checkpoint.read_stored = [file, all, head_dim](const std::string& name) {
    return read_int8(all->at(name), is_rotated(name) ? head_dim : 0);
  };
  return checkpoint;
}

}  // namespace csreft
