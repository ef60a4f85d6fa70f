// The optimizer of a method's parameters: rules and rates, parameters without gradients, saved states.
#include "reft/stiefel/optimizer.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/ops/ops.h"
#include "reft/matrix_view.h"
#include "reft/stiefel/stiefel.h"
#include "tests/autograd/adamw_step.h"
#include "tests/core/ops/numbers.h"
#include "tests/device.h"
#include "tests/reft/stiefel/choices.h"

using namespace csreft;
using test::adamw_step;
using test::rule_of;
using test::same_bits;

namespace {

Tensor noise(std::int64_t rows, std::int64_t d, std::uint64_t stream, DType dtype) {
  return test::normal({rows, d}, stream, dtype);
}

// A free matrix, a bias and a stack of two blocks, in f32.
std::vector<OptimizerParameter> mixed_parameters() {
  return {
      {.name = "W", .value = noise(4, 16, 1, DType::f32)},
      {.name = "b", .value = Tensor::zeros({4}, DType::f32), .lr_scale = 2.0},
      {.name = "R", .value = random_stiefel(4, 16, 2, 1, 0), .manifold = ParameterManifold::stiefel, .block_rows = 2}};
}
std::vector<Tensor> mixed_gradients(std::uint64_t stream) {
  return {noise(4, 16, stream, DType::f32), noise(1, 4, stream + 1, DType::f32).view({4}),
          noise(4, 16, stream + 2, DType::f32)};
}

}  // namespace

TEST_CASE("Every optimizer of the table steps on the test device as it does on the host") {
  for (const auto* entry : optimizer_rules()) {
    CAPTURE(entry->name);
    const auto rule = rule_of(entry->name);
    auto parameters = mixed_parameters();
    for (OptimizerParameter& p : parameters) p.value = on_test_device(p.value);
    Optimizer here(mixed_parameters(), rule), there(parameters, rule);
    for (std::uint64_t t = 0; t < 3; ++t) {
      const auto gradients = mixed_gradients(10 * t);
      std::vector<Tensor> moved;
      for (const Tensor& g : gradients) moved.push_back(on_test_device(g));
      here.step(gradients, 0.01);
      there.step(moved, 0.01);
    }
    for (std::size_t i = 0; i < 3; ++i) {
      const Tensor a = here.parameters()[i].value, b = there.parameters()[i].value;
      REQUIRE(b.device() == test_device());
      // f32 rounding of elements of order 1; AdamW divides by what may be small.
      CHECK(ops::squared_norm(ops::sub(a, b.to(Device{}))) < 1e-10);
    }
    for (const auto& [name, tensor] : there.state()) {
      if (!name.ends_with(".step")) CHECK(tensor.device() == test_device());
    }
  }
}

TEST_CASE("The mixed optimizer gives each parameter its own rule and rate") {
  const auto gradients = mixed_gradients(10);
  Optimizer optimizer(mixed_parameters());
  optimizer.step(gradients, 0.01);

  auto expected = mixed_parameters();
  auto w_state = adamw_state(expected[0].value);
  adamw_step(expected[0].value, gradients[0], w_state, 0.01, {.weight_decay = 0.0});
  auto b_state = adamw_state(expected[1].value);
  adamw_step(expected[1].value, gradients[1], b_state, 0.02, {.weight_decay = 0.0});
  Optimizer alone({expected[2]}, rule_of("riemannian_adam"));
  alone.step({{gradients[2]}}, 0.01 * 30.0);  // the default stiefel_lr
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(same_bits(optimizer.parameters()[i].value, expected[i].value));
  }
}

TEST_CASE("Weight decay and beta2 reach AdamW, and momentum the gradient descent") {
  const auto gradients = mixed_gradients(10);
  auto expected = mixed_parameters();
  Optimizer adam(mixed_parameters(), rule_of("riemannian_sgd", {{"weight_decay", 0.1}, {"beta2", 0.9}}));
  auto w_state = adamw_state(expected[0].value);
  Optimizer sgd(mixed_parameters(), rule_of("sgd", {{"weight_decay", 0.1}, {"momentum", 0.5}}));
  Tensor w = mixed_parameters()[0].value;
  auto sgd_w_state = sgd_state(w);
  for (int t = 0; t < 2; ++t) {
    adam.step(gradients, 0.01);
    adamw_step(expected[0].value, gradients[0], w_state, 0.01, {.beta2 = 0.9, .weight_decay = 0.1});
    sgd.step(gradients, 0.01);
    sgd_step(w, gradients[0], sgd_w_state, 0.01, {.momentum = 0.5, .weight_decay = 0.1});
  }
  CHECK(same_bits(adam.parameters()[0].value, expected[0].value));
  CHECK(same_bits(sgd.parameters()[0].value, w));
}

TEST_CASE("Training continues with the same bits from a saved state, with every optimizer of the table") {
  for (const auto* entry : optimizer_rules()) {
    CAPTURE(entry->name);
    const auto rule = rule_of(entry->name);
    Optimizer whole(mixed_parameters(), rule);
    for (std::uint64_t t = 0; t < 3; ++t) whole.step(mixed_gradients(10 * t), 0.01);

    auto parameters = mixed_parameters();
    std::vector<std::pair<std::string, Tensor>> saved;
    for (std::size_t i = 0; i < 3; ++i) parameters[i].value = whole.parameters()[i].value.clone();
    for (const auto& [name, tensor] : whole.state()) saved.emplace_back(name, tensor.clone());
    Optimizer resumed(parameters, rule);
    resumed.load_state(saved);

    for (std::uint64_t t = 3; t < 6; ++t) {
      whole.step(mixed_gradients(10 * t), 0.01);
      resumed.step(mixed_gradients(10 * t), 0.01);
    }
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(same_bits(whole.parameters()[i].value, resumed.parameters()[i].value));
    }
    const double error = orthonormality_error(whole.parameters()[2].value, 2);
    const bool keeps_R = entry->name != "adamw" && entry->name != "landing";
    CHECK((error < 1e-6) == keeps_R);
  }
}

TEST_CASE("Free steps are made orthonormal at the interval that was asked for") {
  Optimizer optimizer(mixed_parameters(), rule_of("adamw+qr", {{"orthonormalise_every", 2}}));
  optimizer.step(mixed_gradients(0), 0.01);
  CHECK(orthonormality_error(optimizer.parameters()[2].value, 2) > 1e-3);
  optimizer.step(mixed_gradients(10), 0.01);
  CHECK(orthonormality_error(optimizer.parameters()[2].value, 2) < 1e-6);
}

TEST_CASE("A state with a missing, strange or foreign tensor is refused whole") {
  Optimizer optimizer(mixed_parameters());
  optimizer.step(mixed_gradients(0), 0.01);
  Optimizer fresh(mixed_parameters());
  const auto refused = [&](auto change) {
    auto state = optimizer.state();
    change(state);
    CHECK_THROWS_AS(fresh.load_state(state), Error);
    for (const auto& [name, tensor] : fresh.state()) {
      if (name.ends_with(".step")) CHECK(tensor.template span<std::int32_t>()[0] == 0);
    }
  };
  refused([](auto& state) { state.pop_back(); });
  refused([](auto& state) { state[0].second = Tensor::zeros({3}); });
  refused([](auto& state) { state[0].second = {}; });
  refused([](auto& state) { state.emplace_back("V.step", Tensor::zeros({1}, DType::i32)); });
}

TEST_CASE("A step with bad gradients names the parameter and changes none") {
  Optimizer optimizer(mixed_parameters());
  const auto check_unchanged = [&] {
    const auto before = mixed_parameters();
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(same_bits(optimizer.parameters()[i].value, before[i].value));
    }
  };
  auto gradients = mixed_gradients(0);
  gradients[2].span<float>()[7] = std::nanf("");
  CHECK_THROWS_WITH_AS(optimizer.step(gradients, 0.01), "the gradient of R is not finite", Error);
  check_unchanged();
  CHECK_THROWS_AS(optimizer.step(std::span(gradients).first(2), 0.01), Error);
  gradients[2] = noise(4, 16, 0, DType::f64);
  CHECK_THROWS_AS(optimizer.step(gradients, 0.01), Error);
  CHECK_THROWS_AS(optimizer.step(std::vector<Tensor>(3), 0.01), Error);
  CHECK_THROWS_AS(optimizer.step(mixed_gradients(0), std::nan("")), Error);
  check_unchanged();
}

TEST_CASE("A parameter without a gradient is left alone, and its state too, with every optimizer of the table") {
  for (const auto* entry : optimizer_rules()) {
    CAPTURE(entry->name);
    for (std::size_t absent = 0; absent < 3; ++absent) {
      CAPTURE(absent);
      Optimizer optimizer(mixed_parameters(), rule_of(entry->name));
      optimizer.step(mixed_gradients(0), 0.01);
      const auto copies = [&] {
        std::vector<Tensor> tensors{optimizer.parameters()[absent].value.clone()};
        for (const auto& [name, tensor] : optimizer.state()) {
          if (name.starts_with(optimizer.parameters()[absent].name + ".")) tensors.push_back(tensor.clone());
        }
        return tensors;
      };
      const auto before = copies();
      const Tensor other = optimizer.parameters()[(absent + 1) % 3].value.clone();
      auto gradients = mixed_gradients(10);
      gradients[absent] = {};
      optimizer.step(gradients, 0.01);
      const auto after = copies();
      REQUIRE(before.size() == after.size());
      for (std::size_t i = 0; i < before.size(); ++i) CHECK(same_bits(before[i], after[i]));
      CHECK_FALSE(same_bits(other, optimizer.parameters()[(absent + 1) % 3].value));
    }
  }
}

TEST_CASE("Parameters that cannot be optimized are refused at once") {
  for (const char* name : {"riemannian_adam", "riemannian_sgd", "sgd", "landing"}) {
    auto parameters = mixed_parameters();
    parameters[2].value = noise(4, 16, 0, DType::f32);
    CHECK_THROWS_WITH_AS(Optimizer(parameters, rule_of(name)), doctest::Contains("R has rows that are not orthonormal"),
                         Error);
  }
  auto parameters = mixed_parameters();
  parameters[2].block_rows = 3;
  CHECK_THROWS_AS(Optimizer{parameters}, Error);
  parameters = mixed_parameters();
  parameters[1].name = parameters[0].name;
  CHECK_THROWS_WITH_AS(Optimizer{parameters}, "two parameters are named W", Error);
}
