// The formulas of representation fine-tuning. To add one: a file beside this one, and its name in meson.build; a method
// of that name, the command line, the adapter files and the report then know it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/functions/functions.h"
#include "core/base/table.h"
#include "reft/interventions/activation.h"
#include "reft/parameter.h"

namespace csreft {

enum class Extent { rank_by_hidden, rank, hidden };
// How a parameter starts.
enum class Start {
  orthonormal,   // drawn uniformly among matrices with orthonormal rows
  torch_linear,  // as torch.nn.Linear draws a weight or a bias: uniform in +- 1 / sqrt(hidden size)
  uniform,       // uniform in [0, 1)
  like_first,    // a copy of the intervention's first parameter
  zero,
  one,
};

struct InterventionParameter {
  std::string_view name;  // its letter in the formula
  Extent extent;
  Start published;  // as the source (pyreft 0.1.0; RED's paper) starts it
  Start identity;   // so that a new edit leaves hidden states as they are
  ParameterManifold manifold = ParameterManifold::euclidean;
};

// An intervention's parameters at one place, in the order of Intervention::parameters.
using InterventionValues = std::span<const Variable>;

// Where an intervention's formula is applied.
struct EditInput {
  const Variable& hidden;  // [n, d]
  const EditRows& rows;    // the rows that are edited; others pass unchanged
  InterventionValues values;
  // [s, k]: gates of k stacked subspaces, whose k r rows take the place of r; undefined: one subspace without a gate.
  const Variable& alpha;
  const Activation& activation;
};

struct Intervention {
  std::string_view name;
  std::string_view formula;
  std::vector<InterventionParameter> parameters;  // of low rank the first: what edits write along, R or V
  // Throws Error for gates that a formula without rank cannot have.
  Variable (*apply)(const EditInput& input);
  // Whether there is a start from which hidden states are left as they are, without an activation.
  bool has_identity = true;
};

// h + P^T (g * (act(A h + b) - S h)), the common form of the low-rank interventions (arXiv 2404.03592, section 3.2;
// gated and stacked as in arXiv 2503.10617, eq. 3). A, b, S undefined: zero; without A, b is not activated.
struct LowRankForm {
  Variable A, b, S, P;
};
Variable low_rank_edit(const EditInput& input, const LowRankForm& form);

std::span<const Intervention* const> interventions();
// By name. Throws Error, listing the names, for another.
inline const Intervention& find_intervention(std::string_view name) {
  return find_named(interventions(), "intervention", name);
}
// Whether it has a parameter of low rank, and one that an activation can follow (W).
bool has_rank(const Intervention& intervention);
bool has_source(const Intervention& intervention);
// Whether the start `identity` is one, with this activation of W h + b.
bool starts_as_identity(const Intervention& intervention, const Activation& activation);
// Whether it has a parameter that is orthonormal, and stays so.
bool has_orthonormal(const Intervention& intervention);

struct InterventionShape {
  std::int64_t hidden = 0;         // d
  std::int64_t rank = 0;           // r
  std::int64_t blocks = 1;         // k stacked subspaces of rank r each
  bool joint = false;              // the whole stack is orthonormal, and stays so: R_i R_j^T = 0
  bool starts_orthogonal = false;  // the blocks start orthogonal to each other, and may leave that
  Tensor outside{};                // R starts orthogonal to these orthonormal rows [m, d]; undefined: to none
};
// R [r, d] less its part in the span of the orthonormal rows of F [m, d]: R - (R F^T) F. F undefined: R.
Variable outside_of(const Variable& R, const Tensor& F);

// New parameters "PREFIX.LETTER" at place `place` of a method, drawn from the streams of random_streams.h.
std::vector<Parameter> make_intervention_parameters(const Intervention& intervention, const std::string& prefix,
                                                    const InterventionShape& shape, bool identity, std::uint64_t seed,
                                                    std::uint64_t place, const TensorOptions& tensors);

}  // namespace csreft
