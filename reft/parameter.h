// What a fine-tuning method trains.
#pragma once

#include <cstdint>
#include <string>

#include "autograd/variable.h"

namespace csreft {

// Where a parameter lives: anywhere, or among stacks of matrices with orthonormal rows.
enum class ParameterManifold { euclidean, stiefel };

struct Parameter {
  std::string name;  // unique within the method; the name in adapter files
  Variable value;    // a leaf
  ParameterManifold manifold = ParameterManifold::euclidean;
  std::int64_t block_rows = 0;  // on the Stiefel manifold: rows of each orthonormal block of the stack
  bool router = false;          // counted apart, and trained at --router-lr times the learning rate
};

}  // namespace csreft
