#include "reft/router.h"

#include <cmath>

#include "core/random.h"

namespace csreft {

std::vector<Parameter> make_router_parameters(const RouterShape& shape, std::uint64_t seed, std::uint64_t stream,
                                              DType dtype) {
  const auto weight = [&](std::int64_t out, std::int64_t in, std::uint64_t layer) {
    return Variable::parameter(
        random_normal({out, in}, 0.0, 1.0 / std::sqrt(static_cast<double>(in)), seed, stream + layer, dtype));
  };
  const auto bias = [&](std::int64_t out) { return Variable::parameter(Tensor::zeros({out}, dtype)); };
  return {{.name = "router.0.weight", .value = weight(shape.hidden, shape.input, 0), .router = true},
          {.name = "router.0.bias", .value = bias(shape.hidden), .router = true},
          {.name = "router.2.weight", .value = weight(shape.subspaces, shape.hidden, 1), .router = true},
          {.name = "router.2.bias", .value = bias(shape.subspaces), .router = true}};
}

Variable router_scores(const Tensor& x, std::span<const Parameter> parameters) {
  const Variable hidden = relu(add_row(linear(Variable(x), parameters[0].value), parameters[1].value));
  return add_row(linear(hidden, parameters[2].value), parameters[3].value);
}

}  // namespace csreft
