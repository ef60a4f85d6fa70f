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

Tensor read_router_input(const RouterInput& input, std::int64_t layer, const Llama& model, const TokenBatch& batch,
                         const PromptSpans& prompts) {
  const NoGrad no_grad;
  const Tensor states = input.states == RouterStates::hidden ? model.hidden_states(batch, layer)
                                                             : ops::gather_rows(model.embedding().value(), batch.ids);
  return input.pool(states, prompts);
}

Tensor read_router_inputs(const RouterInput& input, std::int64_t layer, const Llama& model,
                          std::span<const std::vector<std::int32_t>> prompts, const OnRead& on_read) {
  constexpr std::size_t at_once = 32;
  const auto n = static_cast<std::int64_t>(prompts.size());
  Tensor all = Tensor::empty({n, model.config().hidden_size}, model.dtype());
  for (std::size_t begin = 0; begin < prompts.size(); begin += at_once) {
    const auto some = prompts.subspan(begin, std::min(at_once, prompts.size() - begin));
    const TokenBatch batch = pack_tokens(some);
    const auto first = static_cast<std::int64_t>(begin);
    ops::copy_(all.slice(first, first + static_cast<std::int64_t>(some.size())),
               read_router_input(input, layer, model, batch, whole_prompts(batch)));
    const std::int64_t done = first + static_cast<std::int64_t>(some.size());
    if (on_read && !on_read(done, n)) return all.slice(0, done).clone();
  }
  return all;
}

Variable router_scores(const Tensor& x, std::span<const Parameter> parameters) {
  const Variable hidden = relu(add_row(linear(Variable(x), parameters[0].value), parameters[1].value));
  return add_row(linear(hidden, parameters[2].value), parameters[3].value);
}

}  // namespace csreft
