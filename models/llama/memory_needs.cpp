#include "models/llama/memory_needs.h"

#include <algorithm>

#include "core/ops/packed_matrix.h"

namespace csreft {
namespace {

constexpr std::int64_t f32_bytes = sizeof(float);

std::int64_t largest_parameter(const LlamaConfig& config) {
  std::int64_t most = 0;
  for (const auto& [name, shape] : parameter_shapes(config)) most = std::max(most, shape.numel());
  return most;
}

}  // namespace

std::int64_t weight_bytes(const Checkpoint& checkpoint, Weights weights, const Device& device) {
  const LlamaConfig& config = checkpoint.config;
  if (weights == Weights::trainable) return f32_bytes * parameter_count(config);
  if (device.type != DeviceType::cpu) return 2 * f32_bytes * largest_parameter(config);
  const Packing packing = packing_of(weights, config);
  std::int64_t sum = checkpoint.copied_bytes;
  for (const auto& [name, shape] : parameter_shapes(config)) {
    if (shape.rank() == 2) sum += shape.numel() * copied_bytes(packing, checkpoint.stored_bytes.contains(name));
  }
  return sum;
}

// Per token and block: the residual stream before both norms, what attention and the feed-forward block save.
std::int64_t activation_bytes(const LlamaConfig& config, std::int64_t tokens, std::int64_t layers, bool checkpointing) {
  const std::int64_t q = config.n_heads * config.head_dim, kv = config.n_kv_heads * config.head_dim;
  const std::int64_t block = 2 * config.hidden_size + 2 * q + 2 * kv + 2 * config.intermediate_size;
  const std::int64_t kept = checkpointing ? layers * config.hidden_size + block : layers * block;
  return f32_bytes * tokens * kept;
}

}  // namespace csreft
