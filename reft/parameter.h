// What a fine-tuning method trains.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "autograd/variable.h"

namespace csreft {

// Where a parameter lives: anywhere, or among stacks of matrices with orthonormal rows.
enum class ParameterManifold { euclidean, stiefel };

// What a parameter is a part of, so that a budget can be told part by part.
enum class ParameterPart { edits, router, adapters, model };

struct Parameter {
  std::string name;  // unique within the method; the name in adapter files
  Variable value;    // a leaf
  ParameterManifold manifold = ParameterManifold::euclidean;
  std::int64_t block_rows = 0;  // on the Stiefel manifold: rows of each orthonormal block of the stack
  bool exact = false;           // on the Stiefel manifold: orthonormal after every step, as --joint has it
  double lr_scale = 1.0;        // its learning rate, as a multiple of the run's
  ParameterPart part = ParameterPart::edits;
};

}  // namespace csreft
