// Where the representation-editing methods attach: after blocks, at groups of positions, with the parameters of one
// intervention at each place.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "reft/interventions/intervention.h"
#include "reft/methods/method.h"

namespace csreft {

// One intervention at every (layer, position group) of an adapter.
class EditSites {
 public:
  // `blocks` stacked subspaces at each place. Parameters are "LAYER.SIDE.LETTER", in rising order of layers; those of
  // place i are drawn from stream first_place_stream + i of `seed`.
  EditSites(const Intervention& intervention, const MethodOptions& options, const LlamaConfig& config,
            std::int64_t blocks, std::uint64_t seed, const TensorOptions& tensors);

  const std::vector<Parameter>& parameters() const { return parameters_; }
  // The layers that are edited.
  std::set<std::int64_t> layers() const;
  std::vector<EditRows> rows(const PromptSpans& prompts) const;
  // Applies the edits of block `layer` (none if it is not edited) at `rows`, with gates alpha (undefined: none).
  Variable apply(std::int64_t layer, const Variable& hidden, std::span<const EditRows> rows,
                 const Variable& alpha) const;

 private:
  const Intervention& intervention_;
  std::vector<PositionGroup> groups_;
  std::vector<Parameter> parameters_;
  std::map<std::int64_t, std::vector<std::vector<Variable>>> places_;  // layer -> values for each group
};

}  // namespace csreft
