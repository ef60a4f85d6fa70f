#include "reft/router.h"

#include <cmath>

#include <doctest/doctest.h>

#include "autograd/gradcheck.h"
#include "core/random.h"
#include "reft/methods/method.h"
#include "reft/router_norm.h"
#include "tests/compare.h"
#include "tests/error_text.h"
#include "tests/tiny_model.h"

using csreft::DType;
using csreft::Llama;
using csreft::Tensor;
using csreft::Variable;

namespace {

// Two orders of the same sums in f64, on values of order 1.
constexpr double rounding = 1e-12;

Tensor row_of(const Tensor& t, std::int64_t i) { return t.slice(i, i + 1); }

Tensor embedding_of(const Llama& model, const TokenIds& ids) {
  return csreft::ops::gather_rows(model.embedding().value(), csreft::index_tensor(ids));
}

Tensor mean_row(const Tensor& rows) {
  return csreft::ops::scale(csreft::ops::sum_rows(rows), 1.0 / static_cast<double>(rows.rows())).view({1, rows.cols()});
}

// Prompts that share their first token, with responses behind them.
TinyTask shared_start() {
  const std::vector<std::int64_t> prompts{4, 3, 5};
  return make_task({{7, 1, 2, 3, 9, 9}, {7, 11, 4, 8}, {7, 5, 5, 6, 3, 1, 2}}, prompts);
}

csreft::MethodOptions csreft_options(std::string_view input) {
  csreft::MethodOptions options;
  options.layers = {1};
  options.rank = 2;
  options.positions = "f1+l1";
  options.tied = true;
  options.subspaces = 3;
  options.router_hidden = 6;
  options.router_input = input;
  return options;
}

Tensor gates_of(const csreft::Method& method, const Llama& model, const TinyTask& task) {
  const auto pass = method.attach(model, {task.batch, task.prompts});
  model.forward(task.batch, pass.points);
  return pass.gates->value();
}

Tensor gates_of(const csreft::MethodOptions& options, const Llama& model, const TinyTask& task) {
  return gates_of(*csreft::create_method(options, model.config(), 1, DType::f64), model, task);
}

}  // namespace

TEST_CASE("router inputs read the prompts' embeddings, and only theirs") {
  const Llama model = tiny_llama();
  const TinyTask task = shared_start();
  const auto read = [&](std::string_view name) {
    return csreft::find_router_input(name).read(model, task.batch, task.prompts);
  };
  CHECK(largest_difference(read("first_token"), embedding_of(model, {7, 7, 7})) == 0.0);
  CHECK(largest_difference(read("last_token"), embedding_of(model, {3, 4, 3})) == 0.0);
  const Tensor means = read("prompt_mean");
  CHECK(means.shape() == csreft::Shape{3, 12});
  CHECK(largest_difference(row_of(means, 0), mean_row(embedding_of(model, {7, 1, 2, 3}))) < rounding);
  CHECK(largest_difference(row_of(means, 1), mean_row(embedding_of(model, {7, 11, 4}))) < rounding);
  CHECK(largest_difference(row_of(means, 2), mean_row(embedding_of(model, {7, 5, 5, 6, 3}))) < rounding);
}

TEST_CASE("first_token gives prompts with one first token one gate; prompt_mean tells them apart") {
  const Llama model = tiny_llama();
  const TinyTask task = shared_start();
  const Tensor constant = gates_of(csreft_options("first_token"), model, task);
  CHECK(largest_difference(row_of(constant, 0), row_of(constant, 1)) == 0.0);
  CHECK(largest_difference(row_of(constant, 0), row_of(constant, 2)) == 0.0);
  const Tensor mean = gates_of(csreft_options("prompt_mean"), model, task);
  CHECK(largest_difference(row_of(mean, 0), row_of(mean, 1)) > 1e-3);
  CHECK(largest_difference(row_of(mean, 0), row_of(mean, 2)) > 1e-3);
  // Prompts 0 and 2 end with one token.
  const Tensor last = gates_of(csreft_options("last_token"), model, task);
  CHECK(largest_difference(row_of(last, 0), row_of(last, 2)) == 0.0);
  CHECK(largest_difference(row_of(last, 0), row_of(last, 1)) > 1e-3);
}

TEST_CASE("a gate depends on its prompt alone: not on the response, nor on who shares the batch") {
  const Llama model = tiny_llama();
  for (const auto* input : csreft::router_inputs()) {
    CAPTURE(input->name);
    const auto options = csreft_options(input->name);
    const Tensor together = gates_of(options, model, shared_start());
    const TinyTask alone = make_task({{7, 5, 5, 6, 3, 20}}, std::vector<std::int64_t>{5});
    CHECK(largest_difference(gates_of(options, model, alone), row_of(together, 2)) < rounding);
  }
}

TEST_CASE("scores are V2 relu(V1 x + c1) + c2") {
  const auto parameters = csreft::make_router_parameters({.input = 4, .hidden = 3, .subspaces = 2}, 1, 0, DType::f64);
  REQUIRE(parameters.size() == 4);
  CHECK(parameters[0].name == "router.0.weight");
  CHECK(parameters[3].name == "router.2.bias");
  CHECK(largest_element(parameters[1].value.value()) == 0.0);
  CHECK(largest_element(parameters[3].value.value()) == 0.0);
  for (const auto& p : parameters) {
    CHECK(p.router);
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
    for (const auto* penalty : csreft::penalties()) {
      CAPTURE(gate->name);
      CAPTURE(penalty->name);
      const auto result =
          csreft::gradcheck([&] { return penalty->apply(gate->apply(csreft::router_scores(x, parameters))); }, inputs);
      CHECK_MESSAGE(result.passed, result.str());
    }
  }
}

TEST_CASE("the soft gate is the sigmoid of the score") {
  const std::vector<double> scores{0.0, 2.0, -700.0, 700.0};
  const Tensor alpha =
      csreft::find_gate("soft").apply(Variable(Tensor::from(std::span<const double>(scores), {1, 4}))).value();
  CHECK(alpha.data<double>()[0] == 0.5);
  CHECK(alpha.data<double>()[1] == doctest::Approx(1.0 / (1.0 + std::exp(-2.0))));
  CHECK(alpha.data<double>()[2] == doctest::Approx(0.0));
  CHECK(alpha.data<double>()[3] == 1.0);
}

TEST_CASE("penalties are means over the examples of sums over the gates") {
  const std::vector<double> numbers{0.5, 0.25, 1.0, 0.0};
  const Variable alpha(Tensor::from(std::span<const double>(numbers), {2, 2}));
  const auto penalty = [&](std::string_view name) { return csreft::find_penalty(name).apply(alpha).value().item(); };
  CHECK(penalty("l1") == doctest::Approx((0.75 + 1.0) / 2));
  const double quarter = -0.25 * std::log(0.25) - 0.75 * std::log(0.75);
  CHECK(penalty("entropy") == doctest::Approx((std::log(2.0) + quarter) / 2));
  CHECK(penalty("none") == 0.0);
}

TEST_CASE("a penalty comes with its weight, and a method without gates has none") {
  auto options = csreft_options("prompt_mean");
  const auto penalty = [&] {
    const auto method = csreft::create_method(options, tiny_config(), 1, DType::f64);
    return method->penalty(Variable(Tensor::full({2, 3}, 0.5, DType::f64)));
  };
  CHECK_FALSE(penalty().defined());
  options.penalty = "l1";
  CHECK(contains(error_text(penalty), "penalty l1 with lambda 0 has no effect"));
  options.lambda = 0.1;
  CHECK(penalty().value().item() == doctest::Approx(1.5));
  options.method = "loreft";
  CHECK_FALSE(penalty().defined());
}

TEST_CASE("unknown names are refused with the known ones") {
  CHECK(contains(error_text([] { return csreft::find_router_input("prompt").name; }), "prompt_mean, first_token"));
  CHECK(contains(error_text([] { return csreft::find_gate("softt").name; }), "unknown gate 'softt'"));
  CHECK(contains(error_text([] { return csreft::find_penalty("l0").name; }), "unknown penalty 'l0'"));
}

TEST_CASE("router_norm gives the training prompts mean 0 and deviation 1 in every component") {
  const Llama model = tiny_llama();
  // More prompts than are read at once.
  std::vector<std::int64_t> lengths(70);
  for (std::size_t i = 0; i < lengths.size(); ++i) lengths[i] = 1 + static_cast<std::int64_t>(i % 6);
  const auto prompts = random_sequences(lengths, 23);
  auto norm = csreft::make_router_norm(12, DType::f64);
  const auto& input = csreft::find_router_input("prompt_mean");
  csreft::fit_router_norm(norm, input, model, prompts);

  const TinyTask task = make_task(prompts, lengths);
  const Tensor x = csreft::standardise(norm, input.read(model, task.batch, task.prompts));
  CHECK(largest_element(mean_row(x)) < rounding);
  CHECK(largest_difference(mean_row(csreft::ops::mul(x, x)), Tensor::full({1, 12}, 1.0, DType::f64)) < rounding);
}

TEST_CASE("router_norm starts as the identity and lets a constant component be") {
  const Llama model = tiny_llama();
  auto norm = csreft::make_router_norm(12, DType::f64);
  REQUIRE(norm.size() == 2);
  CHECK(norm[0].first == "router_norm.mean");
  CHECK(norm[1].first == "router_norm.scale");
  const Tensor x = embedding_of(model, {4, 5});
  CHECK(largest_difference(csreft::standardise(norm, x), x) == 0.0);
  const std::vector<TokenIds> prompts{{7, 1}, {7, 2}, {7, 3}};
  csreft::fit_router_norm(norm, csreft::find_router_input("first_token"), model, prompts);
  CHECK(largest_difference(norm[1].second, Tensor::full({12}, 1.0, DType::f64)) == 0.0);
  CHECK(largest_element(csreft::standardise(norm, embedding_of(model, {7}))) < rounding);
}

TEST_CASE("a method with router_norm keeps the statistics as buffers and reads through them") {
  const Llama model = tiny_llama();
  const TinyTask task = shared_start();
  auto options = csreft_options("prompt_mean");
  const Tensor plain = gates_of(options, model, task);
  CHECK(csreft::create_method(options, model.config(), 1, DType::f64)->buffers().empty());
  options.router_norm = true;
  const auto method = csreft::create_method(options, model.config(), 1, DType::f64);
  CHECK(method->buffers().size() == 2);
  CHECK(largest_difference(gates_of(*method, model, task), plain) == 0.0);
  method->prepare(model, std::vector<TokenIds>{{7, 1, 2}, {7, 11, 4}, {7, 5}, {3, 9, 9, 1}});
  CHECK(largest_difference(gates_of(*method, model, task), plain) > 1e-3);
}
