// From one step of generation to the next, and the way of its tokens to the host; on the device of the tests.
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>

#include "core/ops/ops.h"
#include "core/tensor/readback.h"
#include "tests/core/ops/numbers.h"
#include "tests/device.h"
#include "tests/error_text.h"

namespace ops = csreft::ops;
using csreft::Readback;
using csreft::Tensor;
using csreft::test::indices;

namespace {

using Values = std::vector<std::int32_t>;

Tensor on_device(std::initializer_list<std::int32_t> values) { return on_test_device(indices(values)).clone(); }
Values values_of(const Tensor& t) {
  const Tensor here = t.to(csreft::Device{});
  const auto values = here.span<std::int32_t>();
  return {values.begin(), values.end()};
}

// Three sequences; the last has ended.
ops::StepInputs three() {
  return {.ids = on_device({7, 8, 9}),
          .positions = on_device({2, 0, 5}),
          .cache_rows = on_device({12, 20, 35}),
          .lengths = on_device({3, 1, 6}),
          .growth = on_device({1, 1, 0}),
          .steps = on_device({1, 1, 1})};
}
Tensor list(std::int64_t rows, std::int64_t n) { return Tensor::zeros({rows, n}, csreft::DType::i32, test_device()); }

}  // namespace

TEST_CASE("the tokens drawn are the next step's, and what has ended stays") {
  const ops::StepInputs inputs = three();
  const Tensor drawn = list(4, 3);
  ops::advance_step_(inputs, on_device({4, -1, 6}), drawn);
  CHECK(values_of(inputs.ids) == Values{4, 8, 6});  // -1 is no token that an embedding has
  CHECK(values_of(inputs.positions) == Values{3, 1, 5});
  CHECK(values_of(inputs.cache_rows) == Values{13, 21, 35});
  CHECK(values_of(inputs.lengths) == Values{4, 2, 6});
  CHECK(values_of(inputs.growth) == Values{1, 1, 0});
  ops::advance_step_(inputs, on_device({1, 2, 3}), drawn);
  CHECK(values_of(inputs.ids) == Values{1, 2, 3});
  CHECK(values_of(inputs.positions) == Values{4, 2, 5});
  CHECK(values_of(inputs.steps) == Values{3, 3, 3});
  CHECK(values_of(drawn) == Values{0, 0, 0, 4, -1, 6, 1, 2, 3, 0, 0, 0});
}

TEST_CASE("more sequences than a block has threads take a step, and none") {
  constexpr std::int64_t n = 1000;
  const auto row = [&](std::int32_t value) {
    return on_test_device(Tensor::full({n}, value, csreft::DType::i32)).clone();
  };
  const ops::StepInputs inputs{row(0), row(1), row(2), row(3), row(1), row(0)};
  const Tensor drawn = list(1, n);
  ops::advance_step_(inputs, row(5), drawn);
  CHECK(values_of(drawn) == Values(n, 5));
  CHECK(values_of(inputs.cache_rows) == Values(n, 3));
  const Tensor none = list(0, 1).view({0});
  ops::advance_step_({none, none, none, none, none, none}, none, list(2, 0));
}

TEST_CASE("steps that do not fit are errors") {
  const Tensor tokens = on_device({1, 2, 3}), two = on_device({1, 2}), drawn = list(4, 3);
  CHECK_THROWS_AS(ops::advance_step_(three(), two, drawn), csreft::Error);
  CHECK_THROWS_AS(ops::advance_step_(three(), {}, drawn), csreft::Error);
  CHECK_THROWS_AS(ops::advance_step_(three(), tokens, {}), csreft::Error);
  CHECK_THROWS_AS(ops::advance_step_(three(), tokens, list(4, 2)), csreft::Error);
  CHECK_THROWS_AS(ops::advance_step_(three(), tokens, drawn.view({12})), csreft::Error);
  for (const auto member : {&ops::StepInputs::ids, &ops::StepInputs::positions, &ops::StepInputs::cache_rows,
                            &ops::StepInputs::lengths, &ops::StepInputs::growth, &ops::StepInputs::steps}) {
    for (const Tensor& wrong : {Tensor{}, two, Tensor::zeros({3}, csreft::DType::f32, test_device())}) {
      ops::StepInputs inputs = three();
      inputs.*member = wrong;
      CHECK_THROWS_AS(ops::advance_step_(inputs, tokens, drawn), csreft::Error);
    }
  }
  if (test_device() == csreft::Device{}) {
    CHECK(contains(error_text([&] { return ops::advance_step_(three(), tokens, drawn.slice(0, 1)), 0; }),
                   "steps holds 1, expected 0 to 0"));
  }
}

TEST_CASE("a readback has what the work that was started before it leaves, and not what follows") {
  Readback readback(test_device(), 3);
  const Tensor x = on_device({1, 2, 3});
  readback.start(x);
  ops::copy_(x, indices({4, 5, 6}));
  const auto read = [&] { return Values(readback.wait().begin(), readback.wait().end()); };
  CHECK(read() == Values{1, 2, 3});
  readback.start(x.slice(1, 3));
  CHECK(read() == Values{5, 6});
  readback.start(x.slice(0, 0));
  CHECK(read().empty());
  CHECK(contains(error_text([&] { return readback.start(on_device({1, 2, 3, 4})), 0; }), "3 at most"));
  CHECK(contains(error_text([&] { return readback.start(Tensor::zeros({2})), 0; }), "expected i32"));
  CHECK(contains(error_text([&] { return readback.start({}), 0; }), "expected i32"));
  readback.start(x);  // nobody waits for it
}
