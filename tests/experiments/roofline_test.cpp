// The estimate of a training step: its parts add up to what is known of the whole.
#include "experiments/harness/roofline.h"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include "experiments/harness/random_llama.h"
#include "tests/error_text.h"
#include "tests/program.h"

namespace {

using csreft::Arithmetic;
using csreft::Operation;

csreft::TrainingStep llama_step(std::vector<std::int64_t> layers = {3, 9, 18, 24}) {
  return {.config = csreft::llama2_7b_shape(),
          .sequences = 2,
          .length = 512,
          .edited_layers = std::move(layers),
          .parameters = {.total = 655'588, .without_router = 524'352}};
}

double product_flops(const csreft::TrainingStep& step, bool backward) {
  double flops = 0.0;
  for (const Operation& o : csreft::operations(step)) {
    const bool is_backward = o.name.ends_with("backward");
    if (o.arithmetic == Arithmetic::bf16 && is_backward == backward) flops += static_cast<double>(o.calls) * o.flops;
  }
  return flops;
}

const Operation& find(const std::vector<Operation>& all, const std::string& name) {
  const auto found = std::ranges::find(all, name, &Operation::name);
  REQUIRE(found != all.end());
  return *found;
}

}  // namespace

TEST_CASE("the estimate's products forward take two FLOPs a weight and token, the head for supervised ones alone") {
  const auto step = llama_step();
  const double head = static_cast<double>(step.config.vocab_size * step.config.hidden_size);
  const double layers = csreft::matrix_elements(step.config) - head;
  const double tokens = 1024.0;
  CHECK(product_flops(step, false) == doctest::Approx(2.0 * tokens * (layers + head / 2.0)));
  // Backward: the layers above the first edited one, 4 to 31 of 32.
  CHECK(product_flops(step, true) == doctest::Approx(2.0 * tokens * (layers * 28.0 / 32.0 + head / 2.0)));
  CHECK(product_flops(llama_step({31}), true) == doctest::Approx(tokens * head));
}

TEST_CASE("an operation takes the longer of its memory's and its arithmetic's time") {
  const csreft::Card card{"card", "here", /*bf16=*/100.0, /*f32=*/10.0, /*bandwidth=*/5.0};
  const auto seconds = [&](Arithmetic arithmetic, double bytes, double flops) {
    return Operation{"o", "o.cu", arithmetic, 1, bytes, flops}.seconds(card);
  };
  CHECK(seconds(Arithmetic::f32, 50.0, 20.0) == doctest::Approx(10.0));
  CHECK(seconds(Arithmetic::f32, 5.0, 20.0) == doctest::Approx(2.0));
  CHECK(seconds(Arithmetic::bf16, 5.0, 20.0) == doctest::Approx(1.0));
}

TEST_CASE("the estimate counts attention's half of the scores, and the bytes of an optimizer step") {
  const auto all = csreft::operations(llama_step());
  // Two sequences: for each query of 512, the keys up to it, times 4096 numbers, twice a multiplication and an
  // addition.
  CHECK(find(all, "attention").flops == doctest::Approx(2.0 * 512.0 * 513.0 / 2.0 * 4096.0 * 4.0));
  CHECK(find(all, "attention").calls == 32);
  CHECK(find(all, "attention, backward").calls == 28);
  CHECK(find(all, "edit").calls == 4);
  CHECK(find(all, "AdamW").bytes == doctest::Approx(7.0 * 4.0 * 655'588.0));
  for (const Operation& o : all) {
    CAPTURE(o.name);
    CHECK(o.bytes > 0.0);
    CHECK(std::isfinite(o.flops));
  }
}

TEST_CASE("./run roofline says that it is an estimate, and refuses a step of nothing") {
  const ProgramResult result = run_program({"roofline"});
  CAPTURE(result.err);
  REQUIRE(result.code == 0);
  for (const char* part : {"an estimate", "not measured", "k = 4, r = 4, layers 3, 9, 18, 24", "H100 SXM: at least",
                           "RTX 4090: at least", "data sheet", "655588 trainable parameters"}) {
    CAPTURE(part);
    CHECK(contains(result.out, part));
  }
  CHECK(run_program({"roofline", "--length", "3"}).code == 2);
  CHECK(run_program({"roofline", "--layers", "32"}).code == 2);
}
