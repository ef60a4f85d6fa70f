#include "reft/router/router.h"

#include <algorithm>
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

// read(batch): states [m, d] of some of the prompts, for all of them in turn: [n, d], and fewer if on_read stops it.
template <typename Read>
Tensor read_in_parts(std::span<const std::vector<std::int32_t>> prompts, const OnRead& on_read, std::int64_t n,
                     const Llama& model, const Read& read) {
  const NoGrad no_grad;
  Tensor all = Tensor::empty({n, model.config().hidden_size}, model.options());
  std::int64_t rows = 0;
  for (std::size_t begin = 0; begin < prompts.size();) {
    const auto some = first_prompts(prompts.subspan(begin));
    const Tensor states = read(pack_tokens(some));
    ops::copy_(all.slice(rows, rows + states.rows()), states);
    rows += states.rows();
    begin += some.size();
    const bool go_on = !on_read || on_read(static_cast<std::int64_t>(begin), static_cast<std::int64_t>(prompts.size()));
    if (!go_on) return all.slice(0, rows).clone();
  }
  return all;
}

// `most` rows of each prompt of a batch, or all that it has.
std::vector<std::int32_t> spread_rows(const PromptSpans& prompts, std::int64_t most) {
  std::vector<std::int32_t> rows;
  for (std::size_t e = 0; e < prompts.starts.size(); ++e) {
    const std::int64_t length = prompts.lengths[e], n = std::min(most, length);
    for (std::int64_t i = 0; i < n; ++i) rows.push_back(prompts.starts[e] + static_cast<std::int32_t>(i * length / n));
  }
  return rows;
}

}  // namespace

std::vector<std::vector<std::int32_t>> spread_prompts(std::span<const std::vector<std::int32_t>> prompts) {
  constexpr std::size_t most_prompts_read = 2048;
  const std::size_t n = std::min(prompts.size(), most_prompts_read);
  std::vector<std::vector<std::int32_t>> some;
  for (std::size_t i = 0; i < n; ++i) some.push_back(prompts[i * prompts.size() / n]);
  return some;
}

Gates given_gates(std::span<const double> alpha, std::int64_t rows, std::int64_t k, const TensorOptions& tensors) {
  require(static_cast<std::int64_t>(alpha.size()) == k,
          "--alpha has {} numbers, the adapter {} subspaces: expected one for each", alpha.size(), k);
  const Tensor row = Tensor::from(alpha, {1, k}).to(tensors);
  const std::vector<std::int32_t> all(static_cast<std::size_t>(rows), 0);
  return {Variable(ops::gather_rows(row, index_tensor(all))), {}};
}

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
  return ops::segment_mean(model.embed(index_tensor(ids)).value(), index_tensor(segments.offsets));
}

Tensor read_router_inputs(const RouterInput& input, std::int64_t layer, const Llama& model,
                          std::span<const std::vector<std::int32_t>> prompts, const OnRead& on_read) {
  return read_in_parts(
      prompts, on_read, static_cast<std::int64_t>(prompts.size()), model,
      [&](const TokenBatch& batch) { return read_router_input(input, layer, model, batch, whole_prompts(batch)); });
}

Tensor read_token_states(std::int64_t layer, const Llama& model, std::span<const std::vector<std::int32_t>> prompts,
                         std::int64_t most, const OnRead& on_read) {
  require(most >= 1, "{} tokens of each prompt: expected 1 or more", most);
  std::int64_t n = 0;
  for (const auto& prompt : prompts) n += std::min(most, static_cast<std::int64_t>(prompt.size()));
  return read_in_parts(prompts, on_read, n, model, [&](const TokenBatch& batch) {
    return ops::gather_rows(model.hidden_states(batch, layer), index_tensor(spread_rows(whole_prompts(batch), most)));
  });
}

Variable router_scores(const Tensor& x, std::span<const Parameter> parameters) {
  const Variable hidden = relu(add_row(linear(Variable(x), parameters[0].value), parameters[1].value));
  return add_row(linear(hidden, parameters[2].value), parameters[3].value);
}

}  // namespace csreft
