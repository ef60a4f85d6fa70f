#include "autograd/variable.h"

#include <doctest/doctest.h>

#include "autograd/functions/functions.h"
#include "core/cpu/allocator.h"
#include "core/tensor/random.h"
#include "tests/compare.h"

using csreft::backward;
using csreft::DType;
using csreft::Error;
using csreft::Tensor;
using csreft::Variable;

namespace {

Tensor values(std::initializer_list<double> numbers) {
  return Tensor::from(std::span<const double>(numbers.begin(), numbers.size()),
                      {static_cast<std::int64_t>(numbers.size())});
}

Variable parameter(std::initializer_list<double> numbers) { return Variable::parameter(values(numbers)); }

// Small integers throughout: no rounding, so gradients are exact.
void check_grad(const Variable& v, std::initializer_list<double> expected) {
  REQUIRE(v.grad().defined());
  CHECK(largest_difference(v.grad(), values(expected)) == 0.0);
}

}  // namespace

TEST_CASE("gradients of several uses of one value add up") {
  const Variable x = parameter({2.0, 3.0});
  // x x + 4 x - x: three uses, one of them of both operands
  const Variable y = csreft::sub(csreft::add(csreft::mul(x, x), csreft::scale(x, 4.0)), x);
  backward(csreft::sum(y));
  check_grad(x, {2.0 * 2.0 + 3.0, 2.0 * 3.0 + 3.0});
}

TEST_CASE("an inner value used along paths of different length gets its whole gradient first") {
  const Variable x = parameter({3.0});
  const Variable h = csreft::mul(x, x);
  const Variable longer = csreft::scale(csreft::scale(csreft::scale(h, 2.0), 2.0), 2.0);
  backward(csreft::add(h, longer));
  check_grad(x, {9.0 * 2.0 * 3.0});
}

TEST_CASE("backward over different graphs accumulates until the gradient is cleared") {
  const Variable x = parameter({2.0});
  backward(csreft::mul(x, x));
  check_grad(x, {4.0});
  backward(csreft::scale(x, 10.0));
  check_grad(x, {14.0});
  x.clear_grad();
  CHECK_FALSE(x.grad().defined());
  backward(csreft::scale(x, 10.0));
  check_grad(x, {10.0});
}

TEST_CASE("a gradient that two inputs share is not changed for one by what is added for the other") {
  const Variable a = parameter({1.0}), b = parameter({1.0});
  backward(csreft::add(a, b));  // both get the same tensor
  backward(csreft::scale(a, 5.0));
  check_grad(a, {6.0});
  check_grad(b, {1.0});
}

TEST_CASE("a seed takes the place of what follows, and stays the caller's") {
  const Variable x = parameter({2.0, 3.0});
  const Tensor seed = values({1.0, -1.0});
  backward(csreft::mul(x, x), seed);
  check_grad(x, {4.0, -6.0});
  const Variable p = parameter({1.0, 1.0});
  backward(p, seed);
  backward(csreft::scale(p, 3.0), seed);
  check_grad(p, {4.0, -4.0});
  CHECK(largest_difference(seed, values({1.0, -1.0})) == 0.0);
}

TEST_CASE("backward of a graph twice is an error that says so") {
  const Variable x = parameter({2.0});
  const Variable h = csreft::mul(x, x);
  const Variable loss = csreft::sum(h);
  backward(loss);
  CHECK_THROWS_WITH_AS(backward(loss),
                       "backward of a graph twice: the tensors saved by sum are gone; compute the loss again", Error);
  // A part of the graph counts as well.
  CHECK_THROWS_WITH_AS(backward(csreft::scale(h, 2.0)),
                       "backward of a graph twice: the tensors saved by mul are gone; compute the loss again", Error);
}

TEST_CASE("backward of what depends on no parameter is an error") {
  CHECK_THROWS_AS(backward(Variable()), Error);
  CHECK_THROWS_AS(backward(Variable(values({1.0}))), Error);
  CHECK_THROWS_AS(backward(csreft::sum(Variable(values({1.0})))), Error);
  CHECK_THROWS_AS(backward(csreft::sum(parameter({1.0}).detach())), Error);
}

TEST_CASE("backward of several elements needs a seed of their shape and type") {
  const Variable x = parameter({1.0, 2.0});
  CHECK_THROWS_AS(backward(csreft::scale(x, 2.0)), Error);
  CHECK_THROWS_AS(backward(csreft::scale(x, 2.0), values({1.0})), Error);
  CHECK_THROWS_AS(backward(csreft::scale(x, 2.0), Tensor::full({2}, 1.0, DType::f32)), Error);
}

TEST_CASE("a function whose gradient has another shape is named") {
  const Variable x = parameter({1.0, 2.0});
  const Variable y =
      csreft::record("crooked", x.value().clone(), {x}, [](csreft::BackwardPass& pass) { pass.add(0, values({1.0})); });
  CHECK_THROWS_AS(backward(csreft::sum(y)), Error);
}

TEST_CASE("only parameters have a gradient to read") {
  CHECK_THROWS_AS(Variable(values({1.0})).grad(), Error);
  CHECK_THROWS_AS(csreft::sum(parameter({1.0})).grad(), Error);
  CHECK_THROWS_AS(Variable().clear_grad(), Error);
  CHECK_THROWS_AS(Variable::parameter({}), Error);
}

TEST_CASE("nothing is recorded while a NoGrad lives") {
  const Variable x = parameter({2.0});
  {
    const csreft::NoGrad outer;
    {
      const csreft::NoGrad inner;
      CHECK_FALSE(csreft::mul(x, x).requires_grad());
    }
    CHECK_FALSE(csreft::needs_gradient(x));
    CHECK_FALSE(csreft::mul(x, x).requires_grad());
  }
  CHECK(csreft::mul(x, x).requires_grad());
  CHECK(csreft::needs_gradient(x));
  CHECK_FALSE(csreft::needs_gradient(x.detach()));
}

TEST_CASE("the head makes no gradients while a NoGrad lives") {
  const Variable hidden = Variable::parameter(csreft::random_normal({64, 4}, 0.0, 1.0, 1, 0, DType::f64));
  const Variable weight = Variable::parameter(csreft::random_normal({3000, 4}, 0.0, 1.0, 1, 1, DType::f64));
  const Tensor targets = Tensor::zeros({64}, DType::i32);
  csreft::release_kept_host_memory();
  const csreft::HostMemory before = csreft::host_memory();
  {
    const csreft::NoGrad no_grad;
    csreft::head_cross_entropy(hidden, weight, targets, 1.0, /*chunk=*/1);
  }
  // A row of logits takes 24,000 bytes, the weight's gradient 96,000; what was taken is kept for reuse.
  CHECK(csreft::host_memory().kept - before.kept < 96'000);
}

TEST_CASE("functions of constants alone keep nothing") {
  const Tensor x = values({1.0, 2.0});
  const Variable y = csreft::sigmoid(csreft::mul(Variable(x), Variable(x)));
  CHECK_FALSE(y.requires_grad());
  CHECK(x.unique());
  CHECK(y.value().unique());
}

TEST_CASE("a frozen weight makes a linear layer keep no input") {
  const Variable x = Variable::parameter(csreft::random_normal({3, 4}, 0.0, 1.0, 1, 0, DType::f64));
  const Tensor w = csreft::random_normal({2, 4}, 0.0, 1.0, 1, 1, DType::f64);
  Variable h = csreft::scale(x, 2.0);
  const Variable frozen = csreft::linear(h, csreft::PackedMatrix(w));
  const Variable constant = csreft::linear(h, Variable(w));
  const Tensor frozen_input = h.value();
  h = {};
  CHECK(frozen_input.unique());

  Variable g = csreft::scale(x, 2.0);
  const Variable trained = csreft::linear(g, Variable::parameter(w.clone()));
  const Tensor trained_input = g.value();
  g = {};
  CHECK_FALSE(trained_input.unique());
}

TEST_CASE("backward releases what was saved, and a graph that is dropped releases it too") {
  const Variable x = Variable::parameter(Tensor::full({1000}, 1.0, DType::f64));
  const std::size_t before = csreft::host_memory().used;
  const Variable loss = csreft::sum(csreft::sigmoid(csreft::sigmoid(x)));
  CHECK(csreft::host_memory().used >= before + 2 * 8000);
  backward(loss);
  // The gradient of x and the loss are left: less than what two layers had saved.
  CHECK(csreft::host_memory().used < before + 2 * 8000);
  x.clear_grad();
  {
    const Variable dropped = csreft::sum(csreft::sigmoid(csreft::sigmoid(x)));
    CHECK(csreft::host_memory().used >= before + 2 * 8000);
  }
  CHECK(csreft::host_memory().used < before + 8000);
}

TEST_CASE("backward of a long chain does not recurse") {
  const Variable x = parameter({1.0});
  Variable y = x;
  for (int i = 0; i < 100'000; ++i) y = csreft::scale(y, 1.0);
  backward(y);
  check_grad(x, {1.0});
}
