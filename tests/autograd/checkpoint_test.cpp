#include "autograd/checkpoint.h"

#include <memory>

#include <doctest/doctest.h>

#include "autograd/functions/functions.h"
#include "autograd/gradcheck.h"
#include "core/cpu/allocator.h"
#include "core/tensor/random.h"
#include "tests/compare.h"

using csreft::backward;
using csreft::checkpoint;
using csreft::CheckpointedFunction;
using csreft::DType;
using csreft::Error;
using csreft::Shape;
using csreft::Tensor;
using csreft::Variable;

namespace {

using Inputs = std::span<const Variable>;

Tensor normal(Shape shape, std::uint64_t stream = 0) {
  return csreft::random_normal(shape, 0, 1, 3, stream, DType::f64);
}

Variable parameter(Shape shape, std::uint64_t stream = 0) { return Variable::parameter(normal(shape, stream)); }

// f as it is, or checkpointed.
std::vector<Variable> run(bool checkpointed, const CheckpointedFunction& f, std::initializer_list<Variable> inputs) {
  return checkpointed ? checkpoint(f, inputs) : f(inputs);
}

// The gradients of `parameters` after the backward of loss(checkpointed).
template <typename Loss>
std::vector<Tensor> gradients(const Loss& loss, bool checkpointed, std::initializer_list<Variable> parameters) {
  for (const Variable& p : parameters) p.clear_grad();
  backward(loss(checkpointed));
  std::vector<Tensor> all;
  for (const Variable& p : parameters) all.push_back(p.grad());
  return all;
}

// With and without checkpoints the same functions run on the same numbers: the same bits.
template <typename Loss>
void check_same_gradients(const Loss& loss, std::initializer_list<Variable> parameters) {
  const auto without = gradients(loss, false, parameters), with = gradients(loss, true, parameters);
  for (std::size_t i = 0; i < with.size(); ++i) {
    CAPTURE(i);
    REQUIRE(with[i].defined());
    CHECK(largest_element(without[i]) > 0.0);
    CHECK(largest_difference(with[i], without[i]) == 0.0);
  }
}

}  // namespace

TEST_CASE(
    "a checkpoint passes gradients to its inputs, to parameters that it captures, and to what is computed before") {
  const Variable x = parameter({4, 3}), W = parameter({3, 3}, 1), a = parameter({4, 3}, 2);
  check_same_gradients(
      [&](bool checkpointed) {
        const Variable gate = csreft::sigmoid(a);  // captured, and used outside as well
        const CheckpointedFunction f = [=](Inputs in) {
          return std::vector{csreft::mul(csreft::silu(csreft::linear(in[0], W)), gate)};
        };
        const Variable y = run(checkpointed, f, {csreft::scale(x, 2.0)})[0];
        return csreft::sum(csreft::mul(y, gate));
      },
      {x, W, a});
}

TEST_CASE("a checkpoint agrees with differences, in a chain and of two outputs that are used apart") {
  const Variable W = parameter({3, 3}, 1);
  const auto chain = [&] {
    std::vector<Variable> state{Variable(normal({2, 3})), W};
    for (int layer = 0; layer < 3; ++layer) {
      const CheckpointedFunction f = [](Inputs in) {
        return std::vector{csreft::tanh(csreft::linear(in[0], in[1])), csreft::mul(in[1], in[1])};
      };
      state = checkpoint(f, state);
    }
    return csreft::add(csreft::sum(state[0]), csreft::sum(state[1]));
  };
  const auto result = csreft::gradcheck(chain, std::span(&W, 1));
  CHECK_MESSAGE(result.passed, result.str());
}

TEST_CASE("an output that is not used has no gradient, and the others have theirs") {
  const Variable x = parameter({3}), c = parameter({3}, 1);
  const auto first_only = [&](bool checkpointed) {
    const CheckpointedFunction f = [&](Inputs in) {
      return std::vector{csreft::mul(in[0], in[0]), csreft::mul(in[0], c)};
    };
    return csreft::sum(run(checkpointed, f, {x})[0]);
  };
  check_same_gradients(first_only, {x});
  c.clear_grad();
  backward(first_only(true));
  CHECK_FALSE(c.grad().defined());
}

TEST_CASE(
    "inputs that are handed through, captured Variables that are returned, and constants are outputs like others") {
  const Variable x = parameter({3}), a = parameter({3}, 1), one(Tensor::full({3}, 1.0, DType::f64));
  check_same_gradients(
      [&](bool checkpointed) {
        const Variable square = csreft::mul(a, a);
        const CheckpointedFunction f = [=](Inputs in) { return std::vector{in[0], square, one}; };
        const auto y = run(checkpointed, f, {x});
        CHECK_FALSE(y[2].requires_grad());
        return csreft::sum(csreft::mul(csreft::mul(y[0], y[1]), y[2]));
      },
      {x, a});
}

TEST_CASE("checkpoints within a checkpoint") {
  const Variable x = parameter({4, 3}), W = parameter({3, 3}, 1), a = parameter({4, 3}, 2);
  check_same_gradients(
      [&](bool checkpointed) {
        const Variable gate = csreft::sigmoid(a);
        const CheckpointedFunction inner = [=](Inputs in) {
          return std::vector{csreft::mul(csreft::tanh(csreft::linear(in[0], W)), gate)};
        };
        const CheckpointedFunction outer = [=](Inputs in) {
          return std::vector{csreft::mul(run(checkpointed, inner, {run(checkpointed, inner, {in[0]})[0]})[0], gate)};
        };
        return csreft::sum(run(checkpointed, outer, {x})[0]);
      },
      {x, W, a});
}

TEST_CASE("with no gradient to provide for, nothing is kept and the function runs once") {
  const Variable x(normal({3})), p = parameter({3}, 1);
  int runs = 0;
  const CheckpointedFunction square = [&](Inputs in) {
    ++runs;
    return std::vector{csreft::mul(in[0], in[0])};
  };
  CHECK_FALSE(checkpoint(square, std::span(&x, 1))[0].requires_grad());
  CHECK(runs == 1);
  {
    const csreft::NoGrad no_grad;
    CHECK_FALSE(checkpoint(square, std::span(&p, 1))[0].requires_grad());
    CHECK(runs == 2);
  }
  const Variable y = checkpoint(square, std::span(&p, 1))[0];
  CHECK(runs == 3);
  backward(csreft::sum(y));
  CHECK(runs == 4);
}

TEST_CASE("a part of a checkpointed function that records nothing is a constant, as without a checkpoint") {
  const Variable x = parameter({3}), a = parameter({3}, 1);
  const CheckpointedFunction f = [&](Inputs in) {
    const csreft::NoGrad no_grad;
    return std::vector{csreft::mul(in[0], a)};
  };
  CHECK_FALSE(checkpoint(f, std::span(&x, 1))[0].requires_grad());
  check_same_gradients(
      [&](bool checkpointed) {
        const CheckpointedFunction g = [&](Inputs in) { return std::vector{csreft::mul(in[0], f(in)[0])}; };
        return csreft::sum(run(checkpointed, g, {x})[0]);
      },
      {x});
}

TEST_CASE("the value of a checkpoint is its function's, and recording goes on after it, errors or not") {
  const Variable x = parameter({3});
  const CheckpointedFunction square = [](Inputs in) { return std::vector{csreft::mul(in[0], in[0])}; };
  CHECK(largest_difference(checkpoint(square, std::span(&x, 1))[0].value(), csreft::mul(x, x).value()) == 0.0);
  CHECK(csreft::is_recording());
  const CheckpointedFunction wrong = [](Inputs in) { return std::vector{csreft::linear(in[0], in[0])}; };
  CHECK_THROWS_AS(checkpoint(wrong, std::span(&x, 1)), Error);
  CHECK(csreft::is_recording());
  CHECK(csreft::mul(x, x).requires_grad());
}

TEST_CASE("what a checkpointed function leaves elsewhere cannot be differentiated, and says so") {
  const Variable x = parameter({3});
  Variable left;
  const CheckpointedFunction leaves = [&](Inputs in) {
    left = csreft::mul(in[0], in[0]);
    return std::vector{left};
  };
  checkpoint(leaves, std::span(&x, 1));
  CHECK_THROWS_WITH_AS(backward(csreft::sum(left)), doctest::Contains("only the outputs of a checkpoint"), Error);
  // By way of another checkpoint as well.
  Variable y = checkpoint(leaves, std::span(&x, 1))[0];
  const CheckpointedFunction reads = [kept = left](Inputs in) { return std::vector{csreft::mul(in[0], kept)}; };
  y = checkpoint(reads, std::span(&y, 1))[0];
  CHECK_THROWS_WITH_AS(backward(csreft::sum(y)), doctest::Contains("only the outputs of a checkpoint"), Error);
}

TEST_CASE("a function that returns another number of values the second time is an error") {
  const Variable x = parameter({3});
  const auto runs = std::make_shared<std::size_t>(0);
  const CheckpointedFunction grows = [runs](Inputs in) {
    return std::vector<Variable>(++*runs, csreft::mul(in[0], in[0]));
  };
  const Variable y = checkpoint(grows, std::span(&x, 1))[0];
  CHECK_THROWS_WITH_AS(backward(csreft::sum(y)), doctest::Contains("returns 2 values, expected 1"), Error);
}

TEST_CASE("backward of a checkpoint twice is an error that says so") {
  const Variable x = parameter({3});
  const CheckpointedFunction square = [](Inputs in) { return std::vector{csreft::mul(in[0], in[0])}; };
  const Variable y = checkpoint(square, std::span(&x, 1))[0];
  backward(csreft::sum(y));
  CHECK_THROWS_WITH_AS(backward(csreft::sum(y)), doctest::Contains("backward of a graph twice"), Error);
}

TEST_CASE("a checkpoint keeps its inputs and not what its functions save") {
  const auto bytes = [](bool checkpointed) {
    const Variable x = parameter({1000});
    const CheckpointedFunction f = [](Inputs in) {
      Variable y = in[0];
      for (int i = 0; i < 20; ++i) y = csreft::silu(y);  // each saves 8,000 bytes
      return std::vector{y};
    };
    const std::size_t before = csreft::host_memory().used;
    const Variable y = run(checkpointed, f, {x})[0];
    return csreft::host_memory().used - before;
  };
  CHECK(bytes(false) >= 20 * 8000);
  CHECK(bytes(true) < 3 * 8192);  // the output, and what has no elements
}
