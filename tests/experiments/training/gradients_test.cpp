#include "experiments/training/gradients.h"

#include <cmath>

#include <doctest/doctest.h>

#include "experiments/training/evaluate.h"
#include "tests/compare.h"
#include "tests/reft/method_tools.h"
#include "tests/tiny_chat.h"

namespace {

using csreft::Tensor;

std::vector<Tensor> list(std::initializer_list<double> values) {
  return {
      Tensor::from(std::span<const double>(values.begin(), values.size()), {static_cast<std::int64_t>(values.size())})};
}

}  // namespace

TEST_CASE("a task's gradient is the slope of its mean nll") {
  const TinyChat chat;
  const csreft::LanguageModel model = chat.load();
  csreft::Task task = letter_task(6);
  for (auto& example : task.examples) example.answer.reset();  // scored by nll
  const auto method = csreft::create_method({"loreft", {{"layers", "1"}, {"rank", 2}}}, model.llama, 3);
  const auto gradient = csreft::task_gradient(model, *method, task, {0, 6}, -1, "");
  const csreft::EvaluationOptions options{.batch = 32, .system = "", .quiet = true};
  REQUIRE(gradient.size() == method->parameters().size());
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    CAPTURE(method->parameters()[i].name);
    REQUIRE(gradient[i].defined());
    CHECK_FALSE(method->parameters()[i].value.grad().defined());
    // Along the gradient, by central differences: f32 has the difference of two nll of about 5.5 to 1e-6, so that a
    // step of 0.02 gives the slope to 1e-4 at best; 2 % allowed.
    const Tensor value = method->parameters()[i].value.value();
    const double norm = std::sqrt(csreft::ops::squared_norm(gradient[i]));
    REQUIRE(norm > 1e-3);
    const double step = 0.02 / norm;
    const Tensor along = csreft::ops::scale(gradient[i], step).to(value.dtype());
    const auto nll = [&] { return csreft::evaluate(model, method.get(), task, options).value; };
    csreft::ops::axpy_(value, 1.0, along);
    const double above = nll();
    csreft::ops::axpy_(value, -2.0, along);
    const double below = nll();
    csreft::ops::axpy_(value, 1.0, along);
    CHECK((above - below) / (2.0 * step) == doctest::Approx(norm * norm).epsilon(0.02));
  }
}

TEST_CASE("a task's gradient is of the examples that are asked for") {
  const TinyChat chat;
  const csreft::LanguageModel model = chat.load();
  const csreft::Task task = letter_task(6);
  csreft::Task last = task;
  last.examples.erase(last.examples.begin(), last.examples.begin() + 4);
  const auto method = csreft::create_method({"loreft", {{"layers", "1"}, {"rank", 2}}}, model.llama, 3);
  const auto ranged = csreft::task_gradient(model, *method, task, {4, 2}, -1, "");
  const auto alone = csreft::task_gradient(model, *method, last, {0, 2}, -1, "");
  REQUIRE(ranged.size() == alone.size());
  for (std::size_t i = 0; i < ranged.size(); ++i) CHECK(largest_difference(ranged[i], alone[i]) == 0.0);
  CHECK_THROWS_AS(csreft::task_gradient(model, *method, task, {4, 3}, -1, ""), csreft::Error);
  CHECK_THROWS_AS(csreft::task_gradient(model, *method, task, {0, 0}, -1, ""), csreft::Error);
}

TEST_CASE("the cosine of gradients is over all their elements, and there is none of nothing") {
  CHECK(csreft::cosine(list({3, 4}), list({4, 3})) == doctest::Approx(24.0 / 25.0));
  CHECK(csreft::cosine(list({1, 0}), list({0, 2})) == doctest::Approx(0.0));
  CHECK(csreft::cosine(list({1, -2}), list({-1, 2})) == doctest::Approx(-1.0));
  CHECK_FALSE(csreft::cosine(list({0, 0}), list({1, 2})).has_value());
  CHECK_FALSE(csreft::cosine({Tensor()}, list({1, 2})).has_value());
}
