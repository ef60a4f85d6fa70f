#include "reft/router/router.h"

#include <cmath>

#include <doctest/doctest.h>

#include "autograd/gradcheck.h"
#include "tests/reft/router/router_tools.h"

using csreft::DType;
using csreft::Llama;
using csreft::Tensor;
using csreft::Variable;

TEST_CASE("router inputs read the prompts' embeddings, and only theirs") {
  const Llama model = tiny_llama();
  const TinyTask task = shared_start();
  const auto read = [&](std::string_view name) {
    return csreft::read_router_input(csreft::find_router_input(name), /*layer=*/0, model, task.batch, task.prompts);
  };
  CHECK(largest_difference(read("first_token"), embedding_of(model, {7, 7, 7})) == 0.0);
  CHECK(largest_difference(read("last_token"), embedding_of(model, {3, 4, 3})) == 0.0);
  const Tensor means = read("prompt_mean");
  CHECK(means.shape() == csreft::Shape{3, 12});
  CHECK(largest_difference(row_of(means, 0), mean_row(embedding_of(model, {7, 1, 2, 3}))) < rounding);
  CHECK(largest_difference(row_of(means, 1), mean_row(embedding_of(model, {7, 11, 4}))) < rounding);
  CHECK(largest_difference(row_of(means, 2), mean_row(embedding_of(model, {7, 5, 5, 6, 3}))) < rounding);
  // The hidden states after block 0, of a prompt alone.
  const TokenIds third{7, 5, 5, 6, 3};
  const auto alone = csreft::pack_tokens(std::vector<TokenIds>{third});
  const Tensor hidden = model.hidden_states(alone, 0);
  CHECK(largest_difference(row_of(read("hidden"), 2), mean_row(hidden)) < rounding);
  CHECK(largest_difference(mean_row(hidden), mean_row(embedding_of(model, third))) > 1e-3);
}

TEST_CASE("first_token gives prompts with one first token one gate; prompt_mean tells them apart") {
  const TinyTask task = shared_start();
  const Tensor constant = gates_of(csreft_options("first_token"), task);
  CHECK(largest_difference(row_of(constant, 0), row_of(constant, 1)) == 0.0);
  CHECK(largest_difference(row_of(constant, 0), row_of(constant, 2)) == 0.0);
  const Tensor mean = gates_of(csreft_options("prompt_mean"), task);
  CHECK(largest_difference(row_of(mean, 0), row_of(mean, 1)) > 1e-3);
  CHECK(largest_difference(row_of(mean, 0), row_of(mean, 2)) > 1e-3);
  // Prompts 0 and 2 end with one token.
  const Tensor last = gates_of(csreft_options("last_token"), task);
  CHECK(largest_difference(row_of(last, 0), row_of(last, 2)) == 0.0);
  CHECK(largest_difference(row_of(last, 0), row_of(last, 1)) > 1e-3);
}

TEST_CASE("a gate depends on its prompt alone: not on the response, nor on who shares the batch") {
  for (const auto* input : csreft::router_inputs()) {
    CAPTURE(input->name);
    const auto options = csreft_options(input->name);
    const Tensor together = gates_of(options, shared_start());
    const TinyTask alone = make_task({{7, 5, 5, 6, 3, 20}}, std::vector<std::int64_t>{5});
    CHECK(largest_difference(gates_of(options, alone), row_of(together, 2)) < rounding);
  }
}

TEST_CASE("scores are V2 relu(V1 x + c1) + c2") {
  const auto parameters =
      csreft::make_router_parameters({.input = 4, .hidden = 3, .gates = 2}, /*lr_scale=*/0.1, 1, 0, DType::f64);
  REQUIRE(parameters.size() == 4);
  CHECK(parameters[0].name == "router.0.weight");
  CHECK(parameters[3].name == "router.2.bias");
  CHECK(largest_element(parameters[1].value.value()) == 0.0);
  CHECK(largest_element(parameters[3].value.value()) == 0.0);
  for (const auto& p : parameters) {
    CHECK(p.part == csreft::ParameterPart::router);
    CHECK(p.lr_scale == 0.1);
    csreft::ops::add_(p.value.value(), csreft::random_normal(p.value.shape(), 0.0, 0.5, 2, 0, DType::f64));
  }
  const Tensor x = csreft::random_normal({5, 4}, 0.0, 1.0, 3, 0, DType::f64);
  const auto at = [&](std::size_t p, std::int64_t i) { return parameters[p].value.value().data<double>()[i]; };
  const Tensor expected = Tensor::zeros({5, 2}, DType::f64);
  for (std::int64_t e = 0; e < 5; ++e) {
    for (std::int64_t k = 0; k < 2; ++k) {
      double score = at(3, k);
      for (std::int64_t j = 0; j < 3; ++j) {
        double inner = at(1, j);
        for (std::int64_t i = 0; i < 4; ++i) inner += at(0, j * 4 + i) * x.data<double>()[e * 4 + i];
        score += at(2, k * 3 + j) * std::max(inner, 0.0);
      }
      expected.data<double>()[e * 2 + k] = score;
    }
  }
  CHECK(largest_difference(csreft::router_scores(x, parameters).value(), expected) < rounding);

  std::vector<Variable> inputs;
  for (const auto& p : parameters) inputs.push_back(p.value);
  for (const auto* gate : csreft::gates()) {
    const auto made = gate->create();
    if (made->source() != csreft::GateSource::router) continue;
    for (const auto* penalty : csreft::penalties()) {
      // The others are constants, or not for this gate.
      if (penalty->name == "none" || !(made->competes() ? penalty->of_competing : penalty->of_independent)) continue;
      CAPTURE(gate->name);
      CAPTURE(penalty->name);
      const auto result = csreft::gradcheck(
          [&] { return penalty->apply(gates_of_scores(*made, csreft::router_scores(x, parameters)).probabilities); },
          inputs);
      CHECK_MESSAGE(result.passed, result.str());
    }
  }
}

TEST_CASE("hidden reads a block below the first edit, in the forward pass as without one") {
  const TinyTask task = shared_start();
  auto options = csreft_options("hidden");
  const TinyMethod made(options);
  CHECK(made->options().at("router_layer") == 0);
  CHECK(largest_difference(gates_of(made, task), routed(made, task).alpha.value()) < rounding);
  // Before its own edit a block is as good as one below.
  options["layers"] = "0,1";
  const TinyMethod lowest(options);
  for (const auto& p : lowest->parameters()) {
    csreft::ops::add_(p.value.value(), csreft::random_normal(p.value.shape(), 0.0, 0.5, 2, 0, DType::f64));
  }
  CHECK(largest_difference(gates_of(lowest, task), routed(lowest, task).alpha.value()) < rounding);
  options["layers"] = "1";
  options["router_layer"] = 2;
  CHECK(contains(error_text([&] { TinyMethod made_wrong(options); }), "expected one from 0 to 1"));
  options["router_input"] = "prompt_mean";
  CHECK(contains(error_text([&] { TinyMethod made_wrong(options); }), "reads no layer"));
}

TEST_CASE("by token, each token's gates follow from its own state, and what is reported is each prompt's mean") {
  const TinyTask task = shared_start();
  auto options = csreft_options("hidden");
  options["gate_scope"] = "token";
  const TinyMethod made(options);
  std::vector<csreft::Parameter> router;
  for (const auto& p : made->parameters()) {
    if (p.part == csreft::ParameterPart::router) router.push_back(p);
  }
  const Tensor all = csreft::sigmoid(csreft::router_scores(made.model->hidden_states(task.batch, 0), router)).value();
  const Tensor means = gates_of(made, task);
  for (std::size_t e = 0; e < 3; ++e) {
    const std::int64_t begin = task.prompts.starts[e], end = begin + task.prompts.lengths[e];
    CHECK(largest_difference(row_of(means, static_cast<std::int64_t>(e)), mean_row(all.slice(begin, end))) < rounding);
  }
  // Without a response, the prompts' tokens are all there is.
  CHECK(routed(made, task).alpha.shape() == csreft::Shape{12, 3});
}

TEST_CASE("unknown names are refused with the known ones") {
  CHECK(contains(error_text([] { return csreft::find_router_input("prompt").name; }), "prompt_mean, first_token"));
  CHECK(contains(error_text([] { gate_of("softt"); }), "unknown gate 'softt'"));
  CHECK(contains(error_text([] { return csreft::find_penalty("l0").name; }), "unknown penalty 'l0'"));
}
