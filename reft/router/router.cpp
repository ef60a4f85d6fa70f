#include "reft/router/router.h"

#include <cmath>

#include "core/tensor/random.h"

namespace csreft {
namespace {

// The rows of a batch that an input averages, and where those of each prompt begin among them.
struct Segments {
  std::vector<std::int32_t> rows, offsets{0};
};

Segments segments_of(const RouterInput& input, const PromptSpans& prompts) {
  Segments segments;
  for (std::size_t e = 0; e < prompts.starts.size(); ++e) {
    const auto [begin, end] = input.rows(prompts.starts[e], prompts.lengths[e]);
    for (std::int32_t row = begin; row < end; ++row) segments.rows.push_back(row);
    segments.offsets.push_back(static_cast<std::int32_t>(segments.rows.size()));
  }
  return segments;
}

// The means over segments of the rows `index` of `table`.
Tensor mean_of_rows(const Tensor& table, std::span<const std::int32_t> index, const Segments& segments) {
  return ops::segment_mean(ops::gather_rows(table, index_tensor(index)), index_tensor(segments.offsets));
}

// Those that are read at once: more would only take more memory.
std::span<const std::vector<std::int32_t>> first_prompts(std::span<const std::vector<std::int32_t>> prompts) {
  constexpr std::size_t most_prompts = 32, most_tokens = 4096;
  std::size_t n = 0, tokens = 0;
  while (n < std::min(most_prompts, prompts.size())) {
    tokens += prompts[n].size();
    if (n > 0 && tokens > most_tokens) break;
    ++n;
  }
  return prompts.first(n);
}

}  // namespace

std::vector<Parameter> make_router_parameters(const RouterShape& shape, double lr_scale, std::uint64_t seed,
                                              std::uint64_t stream, const TensorOptions& tensors) {
  const auto weight = [&](std::int64_t out, std::int64_t in, std::uint64_t layer) {
    return Variable::parameter(
        random_normal({out, in}, 0.0, 1.0 / std::sqrt(static_cast<double>(in)), seed, stream + layer, tensors));
  };
  const auto bias = [&](std::int64_t out) { return Variable::parameter(Tensor::zeros({out}, tensors)); };
  const auto parameter = [&](std::string name, const Variable& value) {
    return Parameter{.name = std::move(name), .value = value, .lr_scale = lr_scale, .part = ParameterPart::router};
  };
  return {parameter("router.0.weight", weight(shape.hidden, shape.input, 0)),
          parameter("router.0.bias", bias(shape.hidden)),
          parameter("router.2.weight", weight(shape.gates, shape.hidden, 1)),
          parameter("router.2.bias", bias(shape.gates))};
}

Tensor mean_states(const RouterInput& input, const Tensor& states, const PromptSpans& prompts) {
  const Segments segments = segments_of(input, prompts);
  return mean_of_rows(states, segments.rows, segments);
}

Tensor read_router_input(const RouterInput& input, std::int64_t layer, const Llama& model, const TokenBatch& batch,
                         const PromptSpans& prompts) {
  const NoGrad no_grad;
  if (input.states == RouterStates::hidden) return mean_states(input, model.hidden_states(batch, layer), prompts);
  const Segments segments = segments_of(input, prompts);
  std::vector<std::int32_t> ids;
  for (const auto row : segments.rows) ids.push_back(batch.ids.span<std::int32_t>()[static_cast<std::size_t>(row)]);
  return mean_of_rows(model.embedding().value(), ids, segments);
}

Tensor read_router_inputs(const RouterInput& input, std::int64_t layer, const Llama& model,
                          std::span<const std::vector<std::int32_t>> prompts, const OnRead& on_read) {
  const auto n = static_cast<std::int64_t>(prompts.size());
  Tensor all = Tensor::empty({n, model.config().hidden_size}, model.options());
  for (std::size_t begin = 0; begin < prompts.size();) {
    const auto some = first_prompts(prompts.subspan(begin));
    const TokenBatch batch = pack_tokens(some);
    const auto first = static_cast<std::int64_t>(begin);
    ops::copy_(all.slice(first, first + static_cast<std::int64_t>(some.size())),
               read_router_input(input, layer, model, batch, whole_prompts(batch)));
    const std::int64_t done = first + static_cast<std::int64_t>(some.size());
    if (on_read && !on_read(done, n)) return all.slice(0, done).clone();
    begin += some.size();
  }
  return all;
}

Variable router_scores(const Tensor& x, std::span<const Parameter> parameters) {
  const Variable hidden = relu(add_row(linear(Variable(x), parameters[0].value), parameters[1].value));
  return add_row(linear(hidden, parameters[2].value), parameters[3].value);
}

}  // namespace csreft
