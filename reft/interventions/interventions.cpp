#include <array>

#include "core/base/table.h"
#include "reft/interventions/formulas.h"
#include "reft/stiefel/stiefel.h"

namespace csreft {
namespace {

constexpr std::array table{&loreft, &noreft, &consreft, &lobireft, &direft, &nodireft, &red};

Shape shape_of(Extent extent, std::int64_t rows, std::int64_t hidden) {
  switch (extent) {
    case Extent::rank_by_hidden: return {rows, hidden};
    case Extent::rank: return {rows};
    default: return {hidden};
  }
}

}  // namespace

std::span<const Intervention* const> interventions() { return table; }

const Intervention& find_intervention(std::string_view name) {
  return find_named(interventions(), "intervention", name);
}

std::vector<Parameter> make_intervention_parameters(const Intervention& intervention, const std::string& prefix,
                                                    std::int64_t hidden, std::int64_t rank, std::int64_t blocks,
                                                    bool joint, std::uint64_t seed, std::uint64_t stream,
                                                    const TensorOptions& tensors) {
  const std::int64_t rows = rank * blocks;
  const std::int64_t block_rows = joint ? rows : rank;
  std::vector<Parameter> made;
  for (const auto& p : intervention.parameters) {
    const Shape shape = shape_of(p.extent, rows, hidden);
    Tensor value;
    switch (p.start) {
      case Start::orthonormal: value = random_stiefel(rows, hidden, block_rows, seed, stream, tensors); break;
      case Start::like_first: value = made.front().value.value().clone(); break;
      case Start::zero: value = Tensor::zeros(shape, tensors); break;
      case Start::one: value = Tensor::full(shape, 1.0, tensors); break;
    }
    made.push_back({.name = fmt::format("{}.{}", prefix, p.name),
                    .value = Variable::parameter(value),
                    .manifold = p.manifold,
                    .block_rows = p.manifold == ParameterManifold::stiefel ? block_rows : 0});
  }
  return made;
}

}  // namespace csreft
