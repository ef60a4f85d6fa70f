#include "models/checkpoints/checkpoint.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/base/error.h"

namespace csreft {
namespace {

// Buffers that older versions of transformers wrote, and that follow from the config.
bool is_buffer(std::string_view name) {
  constexpr std::array endings{".rotary_emb.inv_freq",   ".rotary_emb.cos_cached", ".rotary_emb.sin_cached",
                               ".self_attn.masked_bias", ".self_attn.causal_mask", ".position_ids"};
  return std::ranges::any_of(endings, [name](std::string_view ending) { return name.ends_with(ending); }) ||
         (name.starts_with("model.layers.") && name.ends_with(".self_attn.bias"));
}

// Heads of other tasks ("v_head.summary.weight", "score.weight") have no part in the next token.
bool is_beside_the_network(std::string_view name, const Checkpoint& checkpoint) {
  const auto begins = [name](std::string_view start) { return name.starts_with(start); };
  return is_buffer(name) || std::ranges::none_of(checkpoint.network_prefixes, begins);
}

}  // namespace

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
    require(wanted.contains(name) || is_beside_the_network(name, checkpoint),
            "{}: tensor {} does not belong to the model that the config describes", where, name);
  }
}

std::vector<std::string> passed_over(const Checkpoint& checkpoint) {
  std::vector<std::string> names;
  for (const auto& [name, _] : checkpoint.shapes) {
    if (is_beside_the_network(name, checkpoint) && !is_buffer(name)) names.push_back(name);
  }
  return names;
}

std::int64_t interleaved_row(std::int64_t row, std::int64_t head_dim) {
  const std::int64_t head = row / head_dim;
  const std::int64_t within = row % head_dim;
  const std::int64_t half = within / (head_dim / 2);
  const std::int64_t pair = within % (head_dim / 2);
  return head * head_dim + 2 * pair + half;
}

bool is_rotated(const std::string& name) {
  return name.find(".self_attn.q_proj.") != name.npos || name.find(".self_attn.k_proj.") != name.npos;
}

}  // namespace csreft
