#include "experiments/measure/random_llama.h"

#include <cmath>
#include <map>

#include "core/tensor/random.h"
#include "models/llama/known_shapes.h"

namespace csreft {
namespace {

Checkpoint random_checkpoint(const std::string& name, const LlamaConfig& config, const Device& device) {
  Checkpoint checkpoint;
  checkpoint.name = name;
  checkpoint.path = name;
  checkpoint.config = config;
  checkpoint.is_drawn = true;
  std::map<std::string, std::uint64_t> streams;
  for (const auto& [parameter, shape] : parameter_shapes(config)) {
    checkpoint.shapes.emplace(parameter, shape);
    streams.emplace(parameter, streams.size());
  }
  checkpoint.read = [device, streams, shapes = checkpoint.shapes](const std::string& parameter) {
    const Shape& shape = shapes.at(parameter);
    const TensorOptions options{DType::f32, device};
    if (shape.rank() == 1) return Tensor::full(shape, parameter.ends_with(".bias") ? 0.0 : 1.0, options);
    const double deviation = 1.0 / std::sqrt(static_cast<double>(shape[1]));
    return random_normal(shape, 0.0, deviation, /*seed=*/1, streams.at(parameter), options);
  };
  return checkpoint;
}

Tokenizer byte_tokenizer(std::int64_t vocab_size) {
  TokenTable table;
  for (std::int64_t id = 0; id < vocab_size; ++id) table.text.push_back(fmt::format("<{}>", id));
  table.special.assign(static_cast<std::size_t>(vocab_size), false);
  table.eos = 0;
  const auto encode = [vocab_size](std::string_view text) {
    std::vector<std::int32_t> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c) % static_cast<std::int32_t>(vocab_size));
    return ids;
  };
  return {std::move(table), encode};
}

}  // namespace

LlamaConfig smollm2_shape() { return known_shape("smollm2"); }

LlamaConfig llama2_7b_shape() { return known_shape("llama2-7b"); }

LlamaConfig smoke_test_shape() { return known_shape("tiny"); }

double matrix_elements(const LlamaConfig& config) {
  double elements = 0.0;
  for (const auto& [name, shape] : parameter_shapes(config)) {
    if (shape.rank() == 2 && (config.tie_word_embeddings || name != "model.embed_tokens.weight")) {
      elements += static_cast<double>(shape.numel());
    }
  }
  return elements;
}

LanguageModel random_language_model(const std::string& name, const LlamaConfig& config, Weights weights,
                                    const Device& device) {
  const Checkpoint checkpoint = random_checkpoint(name, config, device);
  return {name, name, Llama(checkpoint, weights, {DType::f32, device}), byte_tokenizer(config.vocab_size),
          find_chat_template("alpaca")};
}

}  // namespace csreft
