// Activations of an edit's source W h + b (pyreft's act_fn).
#pragma once

#include <span>
#include <string_view>

#include "autograd/functions/functions.h"

namespace csreft {

struct Activation {
  std::string_view name;
  std::string_view summary;
  Variable (*apply)(const Variable& x);  // null: the identity
  bool keeps_zero = true;                // act(0) = 0
};

std::span<const Activation> activations();
// By name. Throws Error, listing the names, for another.
const Activation& find_activation(std::string_view name);

}  // namespace csreft
