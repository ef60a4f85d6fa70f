// The checker itself: it must find every kind of wrong backward.
#include "autograd/gradcheck.h"

#include <limits>

#include <doctest/doctest.h>

#include "autograd/functions/functions.h"
#include "core/tensor/random.h"
#include "tests/compare.h"

using csreft::DType;
using csreft::gradcheck;
using csreft::Tensor;
using csreft::Variable;

namespace {

Tensor normal(csreft::Shape shape, std::uint64_t stream = 0) {
  return csreft::random_normal(shape, 0.0, 1.0, 3, stream, DType::f64);
}

// y = x, whose backward makes of dy what `backward` says.
Variable with_backward(const Variable& x, const std::function<Tensor(const Tensor&)>& backward) {
  return csreft::record("wrong", x.value().clone(), {x},
                        [backward](csreft::BackwardPass& pass) { pass.add(0, backward(pass.dy)); });
}

}  // namespace

TEST_CASE("gradcheck passes a right backward and counts what it tried") {
  const std::vector<Tensor> inputs{normal({3, 2}), normal({3, 2}, 1)};
  const auto result = gradcheck([](auto x) { return csreft::mul(x[0], x[1]); }, inputs);
  CHECK(result.passed);
  CHECK(result.max_error < 1.0);
  CHECK(result.checked == 12);
}

TEST_CASE("gradcheck finds a factor, a sign and a single wrong element") {
  const std::vector<Tensor> inputs{normal({4, 3})};
  const auto check = [&](const std::function<Tensor(const Tensor&)>& backward) {
    return gradcheck([&](auto x) { return with_backward(x[0], backward); }, inputs);
  };
  CHECK(check([](const Tensor& dy) { return dy; }).passed);
  // A millionth and a half is more than the relative tolerance of 1e-6.
  CHECK_FALSE(check([](const Tensor& dy) { return csreft::ops::scale(dy, 1.0 + 1.5e-6); }).passed);
  CHECK_FALSE(check([](const Tensor& dy) { return csreft::ops::scale(dy, -1.0); }).passed);
  const auto one = check([](const Tensor& dy) {
    const Tensor wrong = dy.clone();
    wrong.data<double>()[7] += 1e-3;
    return wrong;
  });
  CHECK_FALSE(one.passed);
  CHECK(one.input == 0);
  CHECK(one.element == 7);
  CHECK(one.analytic - one.numeric == doctest::Approx(1e-3));
  CHECK(one.str().find("input 0, element 7: backward gives ") == 0);
}

TEST_CASE("gradcheck says which input is wrong, and a NaN is wrong") {
  const std::vector<Tensor> inputs{normal({2}), normal({2}, 1)};
  const auto check = [&](double second) {
    return gradcheck(
        [&](auto x) {
          return csreft::record("wrong", csreft::ops::add(x[0].value(), x[1].value()), {x[0], x[1]},
                                [second](csreft::BackwardPass& pass) {
                                  pass.add(0, pass.dy);
                                  pass.add(1, csreft::ops::scale(pass.dy, second));
                                });
        },
        inputs);
  };
  CHECK(check(1.0).passed);
  CHECK(check(2.0).input == 1);
  CHECK_FALSE(check(2.0).passed);
  CHECK_FALSE(check(std::numeric_limits<double>::quiet_NaN()).passed);
}

TEST_CASE("gradcheck takes an input that the output ignores for one of gradient zero") {
  const std::vector<Tensor> inputs{normal({2}), normal({3}, 1)};
  CHECK(gradcheck([](auto x) { return csreft::scale(x[0], 2.0); }, inputs).passed);
  // Here the value depends on the second input, but no gradient flows to it.
  const auto dropped =
      gradcheck([](auto x) { return csreft::add(csreft::sum(x[0]), csreft::sum(x[1]).detach()); }, inputs);
  CHECK_FALSE(dropped.passed);
  CHECK(dropped.input == 1);
}

TEST_CASE("gradcheck of a function that holds its parameters leaves them as they were") {
  const Variable w = Variable::parameter(normal({2, 3}));
  const Tensor before = w.value().clone();
  const auto function = [&] { return csreft::sigmoid(w); };
  CHECK(gradcheck(function, std::vector{w}).passed);
  CHECK(largest_difference(w.value(), before) == 0.0);
  CHECK_FALSE(w.grad().defined());
}

TEST_CASE("gradcheck tries a sample where one is asked for") {
  const std::vector<Tensor> inputs{normal({50}), normal({2}, 1)};
  const auto result =
      gradcheck([](auto x) { return csreft::mul(csreft::sum(x[0]), csreft::sum(x[1])); }, inputs, {.sample = 5});
  CHECK(result.passed);
  CHECK(result.checked == 7);
}

TEST_CASE("gradcheck refuses what it cannot check") {
  const auto function = [](std::span<const Variable> x) { return csreft::scale(x[0], 2.0); };
  const std::vector<Tensor> single{Tensor::full({2}, 1.0)};
  CHECK_THROWS_WITH_AS(gradcheck(function, single), "gradcheck: input 0 is not an f64 parameter", csreft::Error);
  const Variable constant(normal({2}));
  CHECK_THROWS_AS(gradcheck([&] { return csreft::sum(constant); }, std::vector{constant}), csreft::Error);
  const Variable parameter = Variable::parameter(normal({2}));
  CHECK_THROWS_AS(gradcheck([&] { return csreft::sum(constant); }, std::vector{parameter}), csreft::Error);
}
