#include "reft/interventions/activation.h"

#include <array>

#include "core/base/table.h"

namespace csreft {
namespace {

constexpr std::array table{Activation{"linear", "none", nullptr},
                           Activation{"relu", "max(x, 0)", relu},
                           Activation{"sigmoid", "1 / (1 + exp(-x))", sigmoid, /*keeps_zero=*/false},
                           Activation{"silu", "x sigmoid(x)", silu},
                           Activation{"tanh", "the hyperbolic tangent", tanh},
                           Activation{"gelu", "x times the normal distribution's function", gelu}};

}  // namespace

std::span<const Activation> activations() { return table; }

const Activation& find_activation(std::string_view name) { return find_named(activations(), "activation", name); }

}  // namespace csreft
