#include "models/checkpoints/gguf.h"

#include <algorithm>
#include <vector>

#include "core/base/json_file.h"
#include "models/checkpoints/gguf_config.h"
#include "models/checkpoints/gguf_encodings.h"
#include "models/checkpoints/gguf_file.h"

namespace csreft {
namespace {

// An array under `tokenizer.ggml.`, empty if it is absent. `holds` tells whether an element has the right type.
template <typename T, typename Holds>
std::vector<T> find_list(const nlohmann::json& metadata, const std::string& name, const std::string& where,
                         Holds holds) {
  const auto found = metadata.find("tokenizer.ggml." + name);
  if (found == metadata.end()) return {};
  require(found->is_array() && std::ranges::all_of(*found, holds), "{}: tokenizer.ggml.{} is ill-typed", where, name);
  return found->template get<std::vector<T>>();
}

// BOS and EOS of a SentencePiece vocabulary, where the file does not say: llama.cpp's.
constexpr std::int32_t usual_bos = 1, usual_eos = 2;

TokenizerVocabulary read_vocabulary(const GgufModel& model, const std::string& where, std::vector<std::string>& notes) {
  const auto& metadata = model.metadata;
  const auto is_string = [](const nlohmann::json& value) { return value.is_string(); };
  const auto is_number = [](const nlohmann::json& value) { return value.is_number(); };
  TokenizerVocabulary result;
  result.model = get_json<std::string>(metadata, "tokenizer.ggml.model", where);
  result.pre = find_json<std::string>(metadata, "tokenizer.ggml.pre", where).value_or("default");
  result.tokens = find_list<std::string>(metadata, "tokens", where, is_string);
  result.merges = find_list<std::string>(metadata, "merges", where, is_string);
  result.scores = find_list<float>(metadata, "scores", where, is_number);
  result.types = find_list<std::int32_t>(metadata, "token_type", where, is_number);
  result.add_bos = find_json<bool>(metadata, "tokenizer.ggml.add_bos_token", where);
  result.add_space_prefix = find_json<bool>(metadata, "tokenizer.ggml.add_space_prefix", where);

  const auto n = result.tokens.size();
  require(n > 0, "{}: tokenizer.ggml.tokens is missing: expected the vocabulary", where);
  const auto fits = [n](std::size_t size) { return size == 0 || size == n; };
  require(fits(result.scores.size()) && fits(result.types.size()), "{}: {} tokens with {} scores and {} types", where,
          n, result.scores.size(), result.types.size());
  result.bos_id = find_gguf_token(model, "bos_token_id", n, notes);
  result.eos_id = find_gguf_token(model, "eos_token_id", n, notes);
  if (result.model == "llama" && n > usual_eos) {
    result.bos_id = result.bos_id.value_or(usual_bos);
    result.eos_id = result.eos_id.value_or(usual_eos);
  }
  return result;
}

// The tensor as f32; with head_dim > 0 its rows, or the elements of a bias, leave Meta's order for Hugging Face's.
Tensor read_tensor(const GgufTensor& tensor, std::int64_t head_dim) {
  if (tensor.type == GgmlType::f32 && head_dim == 0) {
    return Tensor::borrow(tensor.blocks.data(), tensor.shape, DType::f32, tensor.file);
  }
  Tensor result = Tensor::empty(tensor.shape);
  if (tensor.shape.rank() == 1 && head_dim > 0) {
    const Tensor stored = read_tensor(tensor, 0);
    for (std::int64_t i = 0; i < result.numel(); ++i) {
      result.data<float>()[i] = stored.data<const float>()[interleaved_row(i, head_dim)];
    }
    return result;
  }
  const auto columns = tensor.shape[tensor.shape.rank() - 1];
  const auto rows = tensor.shape.numel() / columns;
  const auto row_bytes = static_cast<std::int64_t>(tensor.blocks.size()) / rows;
  float* values = result.data<float>();
#pragma omp parallel for schedule(static)
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto stored = head_dim > 0 ? interleaved_row(row, head_dim) : row;
    decode_rows(tensor.type, tensor.blocks.data() + stored * row_bytes, columns, values + row * columns);
  }
  tensor.file->forget(tensor.blocks);
  return result;
}

// The same for a matrix, as it is stored.
StoredMatrix read_stored(const GgufTensor& tensor, std::int64_t head_dim) {
  const StoredMatrix in_file(tensor.shape, row_encoding(tensor.type), tensor.blocks, tensor.file);
  if (head_dim == 0) return in_file;
  const auto turned = in_file.reordered([=](std::int64_t row) { return interleaved_row(row, head_dim); });
  tensor.file->forget(tensor.blocks);
  return turned;
}

}  // namespace

Checkpoint open_gguf(const std::filesystem::path& path) {
  auto gguf = read_gguf(path);
  const auto where = path.string();
  const GgufModel model{gguf.metadata, [&](const std::string& name) { return gguf.tensors.contains(name); }, where};
  const ModelFamily& family = gguf_family(model);
  Checkpoint checkpoint;
  checkpoint.network_prefixes = {"model.", "lm_head.", "blk.", "token_embd.", "output"};
  auto vocabulary = read_vocabulary(model, where, checkpoint.notes);
  auto& config = checkpoint.config;
  config = read_gguf_config(model, vocabulary, checkpoint.notes);
  if (const auto factors = gguf.tensors.extract("rope_freqs.weight")) {
    const Tensor values = read_tensor(factors.mapped(), 0);
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
      if (family.gguf_is_interleaved && is_rotated(name)) checkpoint.copied_bytes += bytes;
    }
  }
  const auto head_dim = family.gguf_is_interleaved ? config.head_dim : 0;
  const auto all = std::make_shared<const std::map<std::string, GgufTensor>>(std::move(tensors));
  checkpoint.read = [all, head_dim](const std::string& name) {
    return read_tensor(all->at(name), is_rotated(name) ? head_dim : 0);
  };
  checkpoint.read_stored = [all, head_dim](const std::string& name) {
    return read_stored(all->at(name), is_rotated(name) ? head_dim : 0);
  };
  return checkpoint;
}

}  // namespace csreft
