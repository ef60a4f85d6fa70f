// The formulas of representation fine-tuning. To add one: a file beside this one, its declaration in formulas.h, its
// line in the table of interventions.cpp, and the file's name in meson.build; the command line, the adapter files and
// the report then know it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reft/parameter.h"
#include "reft/positions.h"

namespace csreft {

enum class Extent { rank_by_hidden, rank, hidden };
// How a parameter starts. `like_first` copies the intervention's first parameter: with W = R the edit is the identity,
// and the formula uses W only in W - R.
enum class Start { orthonormal, like_first, zero, one };

struct InterventionParameter {
  std::string_view name;  // its letter in the formula
  Extent extent;
  Start start;
  ParameterManifold manifold = ParameterManifold::euclidean;
};

// An intervention's parameters at one place, in the order of Intervention::parameters.
using InterventionValues = std::span<const Variable>;

struct Intervention {
  std::string_view name;
  std::string_view formula;
  std::vector<InterventionParameter> parameters;
  // Whether new parameters leave hidden states as they are, so that training starts from the base model.
  bool starts_as_identity = true;
  // Applies the formula at `rows` of hidden [n, d]. `alpha` [examples, k] gates k stacked subspaces (a stack of k r
  // rows takes the place of r); undefined: no gate. A formula that has no rank ignores no gate: it throws Error for
  // one.
  Variable (*apply)(const Variable& hidden, const EditRows& rows, InterventionValues values, const Variable& alpha);
};

// By name. Throws Error, listing the names, for another.
const Intervention& find_intervention(std::string_view name);
std::span<const Intervention* const> interventions();

// New parameters "PREFIX.LETTER" of `blocks` stacked subspaces of rank `rank` each. Orthonormal ones are drawn from
// (seed, stream); with `joint`, the whole stack is orthonormal, and its blocks lie on one manifold.
std::vector<Parameter> make_intervention_parameters(const Intervention& intervention, const std::string& prefix,
                                                    std::int64_t hidden, std::int64_t rank, std::int64_t blocks,
                                                    bool joint, std::uint64_t seed, std::uint64_t stream,
                                                    const TensorOptions& tensors);

}  // namespace csreft
