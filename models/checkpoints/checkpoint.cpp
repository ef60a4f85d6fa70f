#include "models/checkpoints/checkpoint.h"

#include <set>

#include "core/base/error.h"

namespace csreft {

Tensor Checkpoint::tensor(const std::string& tensor_name) const {
  require(shapes.contains(tensor_name), "{} holds no tensor {}", path.string(), tensor_name);
  return read(tensor_name);
}

std::optional<StoredMatrix> Checkpoint::stored(const std::string& tensor_name) const {
  require(shapes.contains(tensor_name), "{} holds no tensor {}", path.string(), tensor_name);
  if (!stored_bytes.contains(tensor_name)) return std::nullopt;
  return read_stored(tensor_name);
}

void check_complete(const Checkpoint& checkpoint) {
  const auto where = checkpoint.path.string();
  std::set<std::string> wanted;
  for (const auto& [name, shape] : parameter_shapes(checkpoint.config)) {
    const auto found = checkpoint.shapes.find(name);
    require(found != checkpoint.shapes.end(), "{}: tensor {} is missing: expected shape {}", where, name, shape.str());
    require(found->second == shape, "{}: tensor {} has shape {}: the config wants {}", where, name, found->second.str(),
            shape.str());
    wanted.insert(name);
  }
  if (checkpoint.config.tie_word_embeddings) wanted.insert("lm_head.weight");
  for (const auto& [name, _] : checkpoint.shapes) {
    require(wanted.contains(name) || name.ends_with(".rotary_emb.inv_freq"),
            "{}: tensor {} does not belong to the Llama that the config describes", where, name);
  }
}

std::int64_t interleaved_row(std::int64_t row, std::int64_t head_dim) {
  const std::int64_t head = row / head_dim;
  const std::int64_t within = row % head_dim;
  const std::int64_t half = within / (head_dim / 2);
  const std::int64_t pair = within % (head_dim / 2);
  return head * head_dim + 2 * pair + half;
}

bool is_rotated(const std::string& name) {
  return name.ends_with("self_attn.q_proj.weight") || name.ends_with("self_attn.k_proj.weight");
}

}  // namespace csreft
