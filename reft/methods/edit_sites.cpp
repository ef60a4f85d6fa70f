#include "reft/methods/edit_sites.h"

#include "reft/random_streams.h"

namespace csreft {

EditSites::EditSites(const Intervention& intervention, const MethodOptions& options, const LlamaConfig& config,
                     std::int64_t blocks, std::uint64_t seed, const TensorOptions& tensors)
    : intervention_(intervention), groups_(parse_positions(options.positions, options.tied)) {
  check_rank(options.rank, blocks, config);
  std::uint64_t stream = first_place_stream;
  for (const auto layer : checked_layers(options, config)) {
    for (const auto& group : groups_) {
      auto made =
          make_intervention_parameters(intervention, fmt::format("{}.{}", layer, group.side), config.hidden_size,
                                       options.rank, blocks, options.joint, seed, stream++, tensors);
      auto& values = places_[layer].emplace_back();
      for (auto& parameter : made) {
        values.push_back(parameter.value);
        parameters_.push_back(std::move(parameter));
      }
    }
  }
}

std::set<std::int64_t> EditSites::layers() const {
  std::set<std::int64_t> layers;
  for (const auto& [layer, values] : places_) layers.insert(layer);
  return layers;
}

std::vector<EditRows> EditSites::rows(const PromptSpans& prompts) const {
  std::vector<EditRows> rows;
  for (const auto& group : groups_) rows.push_back(edit_rows(group, prompts));
  return rows;
}

Variable EditSites::apply(std::int64_t layer, const Variable& hidden, std::span<const EditRows> rows,
                          const Variable& alpha) const {
  const auto found = places_.find(layer);
  if (found == places_.end()) return hidden;
  Variable edited = hidden;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    edited = intervention_.apply(edited, rows[g], found->second[g], alpha);
  }
  return edited;
}

}  // namespace csreft
