// How scores become gates, and how gates are penalised.
#include <cmath>

#include <doctest/doctest.h>

#include "autograd/gradcheck.h"
#include "reft/router/router.h"
#include "tests/reft/router/router_tools.h"

using csreft::DType;
using csreft::Tensor;
using csreft::Variable;

TEST_CASE("gates are differentiable in their scores; top1 has the gradient of the softmax") {
  const Tensor scores = csreft::random_normal({5, 3}, 0.0, 1.0, 4, 0, DType::f64);
  const Variable weights(csreft::random_normal({5, 3}, 0.0, 1.0, 5, 0, DType::f64));
  const auto gradient = [&](std::string_view name) {
    const Variable leaf = Variable::parameter(scores.clone());
    csreft::backward(csreft::sum(csreft::mul(weights, gates_of_scores(*gate_of(name), leaf).alpha)));
    return leaf.grad();
  };
  for (const auto* gate : csreft::gates()) {
    const auto made = gate->create();
    // The others are steps; their gradient is another function's.
    if (gate->name != "soft" && gate->name != "softmax") continue;
    CAPTURE(gate->name);
    const std::vector<Variable> inputs{Variable::parameter(scores.clone())};
    const auto result =
        csreft::gradcheck([&] { return csreft::mul(weights, gates_of_scores(*made, inputs[0]).alpha); }, inputs);
    CHECK_MESSAGE(result.passed, result.str());
  }
  CHECK(largest_difference(gradient("top1"), gradient("softmax")) == 0.0);
  CHECK(largest_difference(gradient("topk"), gradient("softmax")) == 0.0);
  CHECK(largest_difference(gradient("gumbel"), gradient("softmax")) == 0.0);
  CHECK(largest_difference(gradient("hard"), gradient("soft")) == 0.0);
  CHECK(largest_element(gradient("top1")) > 0.0);
  const std::vector<double> some{0.5, 2.0, -1.0, 3.0, 3.0, 1.0}, chosen{0, 1, 0, 1, 0, 0};
  const Variable rows(Tensor::from(std::span<const double>(some), {2, 3}));
  const auto top1 = gates_of_scores(*gate_of("top1"), rows);
  // Of equals the first.
  CHECK(largest_difference(top1.alpha.value(), Tensor::from(std::span<const double>(chosen), {2, 3})) == 0.0);
  const double z = 1.0 + 1.0 + std::exp(-2.0);
  CHECK(top1.probabilities.value().data<double>()[3] == doctest::Approx(1.0 / z));
  CHECK(top1.probabilities.value().data<double>()[5] == doctest::Approx(std::exp(-2.0) / z));
}

TEST_CASE("topk opens as many gates, hard those above the threshold, each by its own option") {
  const std::vector<double> some{0.5, 2.0, -1.0, 3.0, 3.0, 1.0};
  const Variable rows(Tensor::from(std::span<const double>(some), {2, 3}));
  const auto alpha = [&](std::string_view name, const nlohmann::json& options) {
    auto gate = gate_of(name);
    csreft::set_options(*gate, options);
    const auto gates = gates_of_scores(*gate, rows).alpha.value();
    return std::vector<double>(gates.span<double>().begin(), gates.span<double>().end());
  };
  CHECK(alpha("topk", {{"topk", 2}}) == std::vector<double>{1, 1, 0, 1, 1, 0});
  CHECK(alpha("topk", {{"topk", 1}}) == std::vector<double>{0, 1, 0, 1, 0, 0});
  // sigmoid: .622, .881, .269, .953, .953, .731
  CHECK(alpha("hard", {{"tau", 0.5}}) == std::vector<double>{1, 1, 0, 1, 1, 1});
  CHECK(alpha("hard", {{"tau", 0.9}}) == std::vector<double>{0, 0, 0, 1, 1, 0});
  CHECK(alpha("gumbel", nlohmann::json::object()) == std::vector<double>{0, 1, 0, 1, 0, 0});
}

TEST_CASE("gumbel draws gates by their softmax in training, and its gradient sharpens as the run goes on") {
  const std::vector<double> scores{1.0, 0.0, -1.0};
  constexpr std::int64_t n = 4000;
  const Tensor rows = Tensor::zeros({n, 3}, DType::f64);
  for (std::int64_t i = 0; i < n * 3; ++i) rows.data<double>()[i] = scores[static_cast<std::size_t>(i % 3)];
  const auto gate = gate_of("gumbel");
  const auto at = [&](std::int64_t step) {
    return gate->apply({.scores = Variable(rows),
                        .tasks = {},
                        .rows = n,
                        .gates = 3,
                        .tensors = DType::f64,
                        .training = csreft::TrainingMoment{.step = step, .total_steps = 10, .seed = 1}});
  };
  const Tensor drawn = csreft::ops::scale(csreft::ops::sum_rows(at(0).alpha.value()), 1.0 / n);
  const double z = std::exp(1.0) + 1.0 + std::exp(-1.0);
  for (std::size_t i = 0; i < 3; ++i) {
    const double p = std::exp(scores[i]) / z;
    // Four deviations of a share of 4000 draws.
    CHECK(std::abs(drawn.span<double>()[i] - p) < 4.0 * std::sqrt(p * (1.0 - p) / n));
  }
  CHECK(largest_difference(at(0).alpha.value(), at(1).alpha.value()) == 1.0);
  CHECK(largest_difference(at(3).alpha.value(), at(3).alpha.value()) == 0.0);
}

TEST_CASE("onehot gives each task its subspace, ones opens all, and neither asks a router") {
  const TinyTask task = shared_start();
  const nlohmann::json base{{"layers", "1"}, {"rank", 2}, {"positions", "f1=l1"}, {"subspaces", 3}, {"edit", "loreft"}};
  const auto with = [&](const nlohmann::json& more) {
    csreft::MethodOptions options{"csreft", base};
    options.values.update(more);
    return options;
  };
  CHECK(largest_difference(gates_of(with({{"gate", "ones"}}), task), Tensor::full({3, 3}, 1.0, DType::f64)) == 0.0);
  const auto error = [&](const nlohmann::json& tasks) {
    return error_text([&] { TinyMethod made(with({{"gate", "onehot"}, {"tasks", tasks}})); });
  };
  CHECK(contains(error(nlohmann::json::array()), "no names of tasks: expected --tasks"));
  CHECK(contains(error(nlohmann::json::array({"a", "b", "c", "d"})), "--subspaces of at least 4"));
  const TinyMethod method(with({{"gate", "onehot"}, {"tasks", nlohmann::json::array({"a", "b"})}}));
  for (const auto& p : method->parameters()) CHECK(p.part == csreft::ParameterPart::edits);
  const std::vector<std::int32_t> tasks{1, 0, 1};
  const auto gates = routed(method, task, tasks);
  const std::vector<double> expected{0, 1, 0, 1, 0, 0, 0, 1, 0};
  CHECK(largest_difference(gates.alpha.value(), Tensor::from(std::span<const double>(expected), {3, 3})) == 0.0);
  CHECK(contains(error_text([&] { method->attach({task.batch, task.prompts}); }), "expected --task with one of a, b"));
  CHECK(method->task_index("b") == 1);
  CHECK(contains(error_text([&] { method->task_index(""); }), "expected --task with one of a, b"));
  CHECK(contains(error_text([&] { method->task_index("e"); }), "knows no task 'e'"));
  CHECK(method->routing()->tasks().size() == 2);
  // The third subspace is nobody's.
  REQUIRE(method->notices().size() == 1);
  CHECK(contains(method->notices()[0], "the other 1 of 3 never open, and --subspaces 2 is without"));
  const nlohmann::json beside{{"gate", "onehot"}, {"tasks", nlohmann::json::array({"a", "b"})}, {"shared", 1}};
  CHECK(TinyMethod(with(beside))->notices().empty());
  const TinyMethod soft(csreft_options("prompt_mean"));
  CHECK(soft->routing()->tasks().empty());
  CHECK(soft->task_index("e") == -1);
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
  options["penalty"] = "mi";
  options["lambda"] = 0.3;
  CHECK(contains(error_text([&] { TinyMethod made(options); }),
                 "expected gate softmax or top1 or topk or gumbel, not soft"));
  options["gate"] = "top1";
  CHECK_FALSE(TinyMethod(options)->routing()->penalty_is_mean());
}

TEST_CASE("the soft gate is the sigmoid of the score") {
  const std::vector<double> scores{0.0, 2.0, -700.0, 700.0};
  const Variable row(Tensor::from(std::span<const double>(scores), {1, 4}));
  const Tensor alpha = gates_of_scores(*gate_of("soft"), row).alpha.value();
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
    const TinyMethod method(options);
    const Variable half(Tensor::full({2, 3}, 0.5, DType::f64));
    return method->routing()->penalty({half, half});
  };
  CHECK_FALSE(penalty().defined());
  options["penalty"] = "l1";
  CHECK(contains(error_text(penalty), "penalty l1 with lambda 0 has no effect"));
  options["lambda"] = -0.1;
  CHECK(contains(error_text(penalty), "lambda -0.1 rewards what penalty l1 is against: expected 0 or more"));
  options["lambda"] = 0.1;
  options["gate"] = "top1";
  CHECK(contains(error_text(penalty),
                 "penalty l1 is a constant for gate top1, whose gates sum to one: expected gate soft or hard"));
  options["gate"] = "soft";
  CHECK(penalty().value().item() == doctest::Approx(1.5));
  CHECK(TinyMethod({"loreft", {{"rank", 2}}})->routing() == nullptr);
}
