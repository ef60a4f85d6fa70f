#include "tests/tiny_model.h"

#include <cmath>
#include <map>

#include "core/tensor/random.h"

using csreft::Tensor;

csreft::LlamaConfig tiny_config() {
  csreft::LlamaConfig config;
  config.vocab_size = 23;
  config.hidden_size = 12;
  config.intermediate_size = 20;
  config.n_layers = 3;
  config.n_heads = 4;
  config.n_kv_heads = 2;
  config.head_dim = 6;  // 4 x 6 is not the hidden size
  config.max_position_embeddings = 40;
  return config;
}

csreft::Checkpoint tiny_checkpoint(const csreft::LlamaConfig& config, std::uint64_t seed) {
  csreft::Checkpoint checkpoint;
  checkpoint.name = "tiny";
  checkpoint.path = "tiny";
  checkpoint.config = config;
  std::map<std::string, Tensor> tensors;
  std::uint64_t stream = 0;
  for (const auto& [name, shape] : csreft::parameter_shapes(config)) {
    const bool bias = name.ends_with(".bias"), norm = shape.rank() == 1 && !bias;
    const bool embedding = name == "model.embed_tokens.weight";
    const double deviation = norm ? 0.2 : bias ? 0.3 : embedding ? 1.0 : 1.0 / std::sqrt(static_cast<double>(shape[1]));
    tensors[name] = csreft::random_normal(shape, norm ? 1.0 : 0.0, deviation, seed, stream++);
    checkpoint.shapes[name] = shape;
  }
  checkpoint.read = [tensors](const std::string& name) { return tensors.at(name); };
  return checkpoint;
}

csreft::Llama tiny_llama(csreft::Weights weights, std::uint64_t seed) {
  return csreft::Llama(tiny_checkpoint(tiny_config(), seed), weights, csreft::DType::f64);
}

std::vector<TokenIds> random_sequences(std::span<const std::int64_t> lengths, std::int64_t vocab_size,
                                       std::uint64_t seed) {
  csreft::Random random(seed);
  std::vector<TokenIds> sequences;
  for (const auto length : lengths) {
    TokenIds& ids = sequences.emplace_back();
    for (std::int64_t i = 0; i < length; ++i) {
      ids.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocab_size))));
    }
  }
  return sequences;
}

TinyTask make_task(std::vector<TokenIds> sequences, std::span<const std::int64_t> prompt_lengths) {
  TinyTask task;
  task.batch = csreft::pack_tokens(sequences);
  TokenIds rows, targets;
  std::int32_t start = 0;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    const auto prompt = static_cast<std::int32_t>(prompt_lengths[s]);
    const auto length = static_cast<std::int32_t>(sequences[s].size());
    task.prompts.starts.push_back(start);
    task.prompts.lengths.push_back(prompt);
    for (std::int32_t i = prompt; i < length; ++i) {
      rows.push_back(start + i - 1);
      targets.push_back(sequences[s][static_cast<std::size_t>(i)]);
    }
    start += length;
  }
  task.rows = csreft::index_tensor(rows);
  task.targets = csreft::index_tensor(targets);
  task.sequences = std::move(sequences);
  return task;
}

TinyTask random_task(std::span<const std::int64_t> lengths, std::span<const std::int64_t> prompt_lengths) {
  return make_task(random_sequences(lengths, tiny_config().vocab_size), prompt_lengths);
}

csreft::Variable task_loss(const csreft::Llama& model, const TinyTask& task, const csreft::Attachments& attachments) {
  const auto hidden = csreft::gather_rows(model.forward(task.batch, attachments), task.rows);
  return csreft::head_cross_entropy(hidden, model.head(), task.targets, 1.0 / static_cast<double>(task.rows.numel()));
}
