// The optimizer of a method's parameters: rules and rates, offsets, saved states.
#include "reft/stiefel/optimizer.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/ops/ops.h"
#include "reft/matrix_view.h"
#include "tests/core/ops/numbers.h"
#include "tests/device.h"

using namespace csreft;
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
  for (const OptimizerRule* rule : optimizer_rules()) {
    CAPTURE(rule->name);
    OptimizerOptions options;
    options.name = rule->name;
    auto parameters = mixed_parameters();
    for (OptimizerParameter& p : parameters) p.value = on_test_device(p.value);
    Optimizer here(mixed_parameters(), options), there(parameters, options);
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
  Optimizer optimizer(mixed_parameters(), {});
  optimizer.step(gradients, 0.01);

  auto expected = mixed_parameters();
  auto w_state = adamw_state(expected[0].value);
  adamw_step(expected[0].value, gradients[0], w_state, 0.01, {});
  auto b_state = adamw_state(expected[1].value);
  adamw_step(expected[1].value, gradients[1], b_state, 0.02, {});
  auto r_state = riemannian_adam_state(expected[2].value, 2);
  riemannian_adam_step(expected[2].value, gradients[2], r_state, 0.01, stiefel(), 2);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(same_bits(optimizer.parameters()[i].value, expected[i].value));
  }
}

TEST_CASE("Training continues with the same bits from a saved state, with every optimizer of the table") {
  for (const OptimizerRule* rule : optimizer_rules()) {
    CAPTURE(rule->name);
    OptimizerOptions options;
    options.name = rule->name;
    Optimizer whole(mixed_parameters(), options);
    for (std::uint64_t t = 0; t < 3; ++t) whole.step(mixed_gradients(10 * t), 0.01);

    auto parameters = mixed_parameters();
    std::vector<std::pair<std::string, Tensor>> saved;
    for (std::size_t i = 0; i < 3; ++i) parameters[i].value = whole.parameters()[i].value.clone();
    for (const auto& [name, tensor] : whole.state()) saved.emplace_back(name, tensor.clone());
    Optimizer resumed(parameters, options);
    resumed.load_state(saved);

    for (std::uint64_t t = 3; t < 6; ++t) {
      whole.step(mixed_gradients(10 * t), 0.01);
      resumed.step(mixed_gradients(10 * t), 0.01);
    }
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(same_bits(whole.parameters()[i].value, resumed.parameters()[i].value));
    }
    const double error = orthonormality_error(whole.parameters()[2].value, 2);
    CHECK((error < 1e-6) == (rule->name != "adamw"));  // the one that lets R go
  }
}

TEST_CASE("Free steps are made orthonormal at the interval that was asked for") {
  OptimizerOptions options;
  options.name = std::string("adamw+qr");
  options.orthonormalise_interval = 2;
  Optimizer optimizer(mixed_parameters(), options);
  optimizer.step(mixed_gradients(0), 0.01);
  CHECK(orthonormality_error(optimizer.parameters()[2].value, 2) > 1e-3);
  optimizer.step(mixed_gradients(10), 0.01);
  CHECK(orthonormality_error(optimizer.parameters()[2].value, 2) < 1e-6);
}

TEST_CASE("A state with a missing, strange or foreign tensor is refused whole") {
  Optimizer optimizer(mixed_parameters(), {});
  optimizer.step(mixed_gradients(0), 0.01);
  Optimizer fresh(mixed_parameters(), {});
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
  Optimizer optimizer(mixed_parameters(), {});
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

TEST_CASE("A parameter without a gradient sits a step out") {
  Optimizer optimizer(mixed_parameters(), {});
  auto gradients = mixed_gradients(0);
  gradients[0] = {};
  optimizer.step(gradients, 0.01);
  CHECK(same_bits(optimizer.parameters()[0].value, mixed_parameters()[0].value));
  CHECK_FALSE(same_bits(optimizer.parameters()[2].value, mixed_parameters()[2].value));
}

TEST_CASE("An offset is trained as the difference from its origin, with every optimizer of the table") {
  for (const OptimizerRule* rule : optimizer_rules()) {
    CAPTURE(rule->name);
    OptimizerOptions options;
    options.name = rule->name;
    auto parameters = mixed_parameters();
    parameters[0].offset_from = "R";
    // The same in the coordinates (D, R) with D = W - R: a loss of W = R + D and R has the gradients gW and gW + gR.
    auto coordinates = mixed_parameters();
    coordinates[0].value = ops::sub(parameters[0].value, parameters[2].value);
    Optimizer optimizer(parameters, options), plain(coordinates, options);
    for (std::uint64_t t = 0; t < 3; ++t) {
      auto gradients = mixed_gradients(10 * t);
      optimizer.step(gradients, 0.01);
      gradients[2] = ops::add(gradients[2], gradients[0]);
      plain.step(gradients, 0.01);
    }
    CHECK(same_bits(parameters[2].value, coordinates[2].value));
    const Tensor difference = ops::sub(parameters[0].value, parameters[2].value);
    // A few roundings to f32 of elements of order 1.
    CHECK((matrix(difference.to(DType::f64)) - matrix(coordinates[0].value.to(DType::f64))).cwiseAbs().maxCoeff() <
          1e-6);
    CHECK((matrix(parameters[0].value.to(DType::f64)) - matrix(mixed_parameters()[0].value.to(DType::f64)))
              .cwiseAbs()
              .maxCoeff() > 1e-3);
  }
}

TEST_CASE("Parameters that cannot be optimized are refused at once") {
  auto parameters = mixed_parameters();
  OptimizerOptions options;
  options.name = std::string("adam");
  CHECK_THROWS_WITH_AS(Optimizer(parameters, options),
                       "unknown optimizer 'adam' (did you mean adamw?): expected one of riemannian_adam, "
                       "riemannian_sgd, adamw+qr, adamw, sgd",
                       Error);
  options = {};
  options.retraction = std::string("exp");
  CHECK_THROWS_AS(Optimizer(parameters, options), Error);
  options = {};
  options.orthonormalise_interval = 0;
  CHECK_THROWS_AS(Optimizer(parameters, options), Error);
  parameters[2].value = noise(4, 16, 0, DType::f32);
  CHECK_THROWS_AS(Optimizer(parameters, {}), Error);
  parameters = mixed_parameters();
  parameters[1].name = parameters[0].name;
  CHECK_THROWS_AS(Optimizer(parameters, {}), Error);
  for (const char* origin : {"V", "b", "W"}) {
    parameters = mixed_parameters();
    parameters[0].offset_from = origin;
    CHECK_THROWS_WITH_AS(Optimizer(parameters, {}), doctest::Contains("cannot be an offset"), Error);
  }
}
