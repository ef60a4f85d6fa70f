// How an intervention's parameters are made.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/tensor/random.h"
#include "models/llama/token_batch.h"
#include "reft/interventions/intervention.h"
#include "reft/random_streams.h"
#include "reft/stiefel/stiefel.h"

namespace csreft {
namespace {

Shape shape_of(Extent extent, std::int64_t rows, std::int64_t hidden) {
  switch (extent) {
    case Extent::rank_by_hidden: return {rows, hidden};
    case Extent::rank: return {rows};
    default: return {hidden};
  }
}

}  // namespace

bool has_rank(const Intervention& intervention) {
  return std::ranges::any_of(intervention.parameters,
                             [](const InterventionParameter& p) { return p.extent != Extent::hidden; });
}

bool has_source(const Intervention& intervention) {
  return std::ranges::any_of(intervention.parameters, [](const InterventionParameter& p) { return p.name == "W"; });
}

// A source that starts as what it replaces (W = R) must not be activated; one that starts at zero must stay there.
bool starts_as_identity(const Intervention& intervention, const Activation& activation) {
  if (!intervention.has_identity || !has_source(intervention) || activation.apply == nullptr) {
    return intervention.has_identity;
  }
  const auto W = std::ranges::find(intervention.parameters, "W", &InterventionParameter::name);
  return W->identity == Start::zero && activation.keeps_zero;
}

bool has_orthonormal(const Intervention& intervention) {
  return std::ranges::any_of(intervention.parameters,
                             [](const InterventionParameter& p) { return p.manifold == ParameterManifold::stiefel; });
}

// As an edit of the rows of R, which takes out what F reads: R + F^T (-F R), R's rows being the states.
Variable outside_of(const Variable& R, const Tensor& F) {
  if (!F.defined()) return R;
  std::vector<std::int32_t> all(static_cast<std::size_t>(R.value().rows()));
  std::iota(all.begin(), all.end(), 0);
  const RowIndex rows = index_tensor(all);
  return low_rank_update(R, {rows, rows}, Variable(ops::scale(F, -1.0)), {}, Variable(F));
}

std::vector<Parameter> make_intervention_parameters(const Intervention& intervention, const std::string& prefix,
                                                    const InterventionShape& shape, bool identity, std::uint64_t seed,
                                                    std::uint64_t place, const TensorOptions& tensors) {
  const std::int64_t rows = shape.rank * shape.blocks;
  const std::int64_t block_rows = shape.joint ? rows : shape.rank;
  const double bound = 1.0 / std::sqrt(static_cast<double>(shape.hidden));
  std::vector<Parameter> made;
  for (std::size_t i = 0; i < intervention.parameters.size(); ++i) {
    const InterventionParameter& p = intervention.parameters[i];
    const Shape extents = shape_of(p.extent, rows, shape.hidden);
    const std::uint64_t stream = intervention_stream + place * most_intervention_parameters + i;
    Tensor value;
    switch (identity ? p.identity : p.published) {
      case Start::orthonormal:
        value = random_stiefel(rows, shape.hidden, shape.starts_orthogonal ? rows : block_rows, seed,
                               first_place_stream + place, tensors);
        if (shape.outside.defined()) {
          value = outside_of(Variable(value), shape.outside).value();
          orthonormalise(value, block_rows);
        }
        break;
      case Start::torch_linear: value = random_uniform(extents, -bound, bound, seed, stream, tensors); break;
      case Start::uniform: value = random_uniform(extents, 0.0, 1.0, seed, stream, tensors); break;
      case Start::like_first: value = made.front().value.value().clone(); break;
      case Start::zero: value = Tensor::zeros(extents, tensors); break;
      case Start::one: value = Tensor::full(extents, 1.0, tensors); break;
    }
    made.push_back({.name = fmt::format("{}.{}", prefix, p.name),
                    .value = Variable::parameter(value),
                    .manifold = p.manifold,
                    .block_rows = p.manifold == ParameterManifold::stiefel ? block_rows : 0,
                    .exact = p.manifold == ParameterManifold::stiefel && shape.joint});
  }
  return made;
}

}  // namespace csreft
