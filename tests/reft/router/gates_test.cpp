// How scores become gates, and how gates are penalised.
#include <cmath>

#include <doctest/doctest.h>

#include "autograd/gradcheck.h"
#include "reft/router/router.h"
#include "tests/reft/router/router_tools.h"

using csreft::DType;
using csreft::Llama;
using csreft::Tensor;
using csreft::Variable;

TEST_CASE("gates are differentiable in their scores; top1 has the gradient of the softmax") {
  const Tensor scores = csreft::random_normal({5, 3}, 0.0, 1.0, 4, 0, DType::f64);
  const Variable weights(csreft::random_normal({5, 3}, 0.0, 1.0, 5, 0, DType::f64));
  const auto gradient = [&](std::string_view name) {
    const Variable leaf = Variable::parameter(scores.clone());
    csreft::backward(csreft::sum(csreft::mul(weights, gates_of_scores(csreft::find_gate(name), leaf).alpha)));
    return leaf.grad();
  };
  for (const auto* gate : csreft::gates()) {
    if (gate->source != csreft::GateSource::router || gate->name == "top1") continue;
    CAPTURE(gate->name);
    const std::vector<Variable> inputs{Variable::parameter(scores.clone())};
    const auto result =
        csreft::gradcheck([&] { return csreft::mul(weights, gates_of_scores(*gate, inputs[0]).alpha); }, inputs);
    CHECK_MESSAGE(result.passed, result.str());
  }
  CHECK(largest_difference(gradient("top1"), gradient("softmax")) == 0.0);
  CHECK(largest_element(gradient("top1")) > 0.0);
  const std::vector<double> some{0.5, 2.0, -1.0, 3.0, 3.0, 1.0}, chosen{0, 1, 0, 1, 0, 0};
  const Variable rows(Tensor::from(std::span<const double>(some), {2, 3}));
  const auto top1 = gates_of_scores(csreft::find_gate("top1"), rows);
  // Of equals the first.
  CHECK(largest_difference(top1.alpha.value(), Tensor::from(std::span<const double>(chosen), {2, 3})) == 0.0);
  const double z = 1.0 + 1.0 + std::exp(-2.0);
  CHECK(top1.probabilities.value().data<double>()[3] == doctest::Approx(1.0 / z));
  CHECK(top1.probabilities.value().data<double>()[5] == doctest::Approx(std::exp(-2.0) / z));
}

TEST_CASE("onehot gives each task its subspace, ones opens all, and neither asks a router") {
  const Llama model = tiny_llama();
  const TinyTask task = shared_start();
  auto options = csreft_options("prompt_mean");
  options.gate = "ones";
  CHECK(largest_difference(gates_of(options, model, task), Tensor::full({3, 3}, 1.0, DType::f64)) == 0.0);
  options.gate = "onehot";
  CHECK(contains(error_text([&] { csreft::create_method(options, model.config(), 1); }), "names of the tasks"));
  options.tasks = {"a", "b", "c", "d"};
  CHECK(contains(error_text([&] { csreft::create_method(options, model.config(), 1); }), "--subspaces of at least 4"));
  options.tasks = {"a", "b"};
  const auto method = csreft::create_method(options, model.config(), 1, DType::f64);
  for (const auto& p : method->parameters()) CHECK_FALSE(p.router);
  const std::vector<std::int32_t> tasks{1, 0, 1};
  const auto gates = method->route(model, prompts_of(task), tasks);
  const std::vector<double> expected{0, 1, 0, 1, 0, 0, 0, 1, 0};
  CHECK(largest_difference(gates.alpha.value(), Tensor::from(std::span<const double>(expected), {3, 3})) == 0.0);
  CHECK(contains(error_text([&] {
                   method->attach(model, {task.batch, task.prompts});
                 }),
                 "expected --task with one of a, b"));
  CHECK(csreft::task_index(*method, "b") == 1);
  CHECK(contains(error_text([&] { csreft::task_index(*method, ""); }), "expected --task with one of a, b"));
  CHECK(contains(error_text([&] { csreft::task_index(*method, "e"); }), "knows no task 'e'"));
  CHECK(method->needs_task());
  options.gate = "soft";
  const auto soft = csreft::create_method(options, model.config(), 1, DType::f64);
  CHECK_FALSE(soft->needs_task());
  CHECK(csreft::task_index(*soft, "e") == -1);
}

TEST_CASE("mi is small for sure and balanced gates, large for unsure or unbalanced ones") {
  const auto mi = [](const std::vector<double>& p) {
    return csreft::find_penalty("mi").apply(Variable(Tensor::from(std::span<const double>(p), {2, 2}))).value().item();
  };
  CHECK(mi({1.0, 0.0, 0.0, 1.0}) == doctest::Approx(-std::log(2.0)));
  CHECK(mi({0.5, 0.5, 0.5, 0.5}) == doctest::Approx(0.0));
  CHECK(mi({1.0, 0.0, 1.0, 0.0}) == doctest::Approx(0.0));
  const auto h = [](double p) { return -p * std::log(p) - (1 - p) * std::log(1 - p); };
  CHECK(mi({0.75, 0.25, 0.5, 0.5}) == doctest::Approx((h(0.75) + h(0.5)) / 2 - h(0.625)));
  auto options = csreft_options("prompt_mean");
  options.penalty = "mi";
  options.lambda = 0.3;
  CHECK(
      contains(error_text([&] { csreft::create_method(options, tiny_config(), 1); }), "expected gate softmax or top1"));
  options.gate = "top1";
  CHECK_FALSE(csreft::create_method(options, tiny_config(), 1)->penalty_is_mean());
}

TEST_CASE("the soft gate is the sigmoid of the score") {
  const std::vector<double> scores{0.0, 2.0, -700.0, 700.0};
  const Variable row(Tensor::from(std::span<const double>(scores), {1, 4}));
  const Tensor alpha = gates_of_scores(csreft::find_gate("soft"), row).alpha.value();
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
    const Variable half(Tensor::full({2, 3}, 0.5, DType::f64));
    return method->penalty({half, half});
  };
  CHECK_FALSE(penalty().defined());
  options.penalty = "l1";
  CHECK(contains(error_text(penalty), "penalty l1 with lambda 0 has no effect"));
  options.lambda = -0.1;
  CHECK(contains(error_text(penalty), "lambda -0.1 rewards"));
  options.lambda = 0.1;
  options.gate = "top1";
  CHECK(contains(error_text(penalty), "penalty l1 is a constant for gate top1"));
  options.gate = "soft";
  CHECK(penalty().value().item() == doctest::Approx(1.5));
  options.method = "loreft";
  CHECK_FALSE(penalty().defined());
}
