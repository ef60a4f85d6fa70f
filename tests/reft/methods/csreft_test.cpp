// What is CS-ReFT's own: stacks, gates, shared subspaces.
#include "reft/interference.h"
#include "reft/stiefel/stiefel.h"
#include "tests/reft/methods/method_cases.h"

using csreft::DType;
using csreft::Tensor;

TEST_CASE("CS-ReFT has right gradients with shared subspaces, and with gates by token") {
  const TinyTask task = tiny_task();
  auto options = options_of("csreft");
  options["shared"] = 1;
  check_gradients(task, options);
  options["gate"] = "softmax";
  options["router_input"] = "hidden";
  options["gate_scope"] = "token";
  options["penalty"] = "mi";
  options["lambda"] = 0.3;
  check_gradients(task, options);
}

TEST_CASE("CS-ReFT with open gates is LoReFT of rank k r with the same stack") {
  const TinyTask task = tiny_task();
  const TinyMethod stacked(options_of("csreft"));
  perturb(*stacked);
  // A sigmoid of 50 is 1 - 2e-22: 1 in f64.
  set(*stacked, "router.2.weight", Tensor::zeros({3, 5}, DType::f64));
  set(*stacked, "router.2.bias", Tensor::full({3}, 50.0, DType::f64));
  auto options = options_of("loreft");
  options["rank"] = 6;
  const TinyMethod loreft(options);
  for (const auto& p : loreft->parameters()) set(*loreft, p.name, value_of(*stacked, p.name));
  CHECK(largest_difference(hidden_of(stacked, task), hidden_of(loreft, task)) < rounding);
}

TEST_CASE("CS-ReFT with one gate open is LoReFT with that subspace, and with none the model itself") {
  const TinyTask task = tiny_task();
  const TinyMethod stacked(options_of("csreft"));
  perturb(*stacked);
  set(*stacked, "router.2.weight", Tensor::zeros({3, 5}, DType::f64));
  const std::vector<double> open_second{-800.0, 50.0, -800.0};
  set(*stacked, "router.2.bias", Tensor::from(std::span<const double>(open_second), {3}));
  const TinyMethod loreft(options_of("loreft"));
  for (const auto& p : loreft->parameters()) set(*loreft, p.name, value_of(*stacked, p.name).slice(2, 4));
  CHECK(largest_difference(hidden_of(stacked, task), hidden_of(loreft, task)) < rounding);

  set(*stacked, "router.2.bias", Tensor::full({3}, -800.0, DType::f64));
  CHECK(largest_difference(hidden_of(stacked, task), tiny_llama().forward(task.batch).value()) < rounding);
}

TEST_CASE("shared subspaces are always open, and start orthogonal to the others") {
  const TinyTask task = tiny_task();
  auto options = options_of("csreft");
  options["shared"] = 1;
  const TinyMethod made(options);
  CHECK(value_of(*made, "router.2.weight").shape() == csreft::Shape{2, 5});
  CHECK(csreft::orthonormality_error(value_of(*made, "0.t.R"), 6) < rounding);
  const auto pass = made->attach({task.batch, task.prompts});
  const Tensor alpha = pass->gates()->alpha.value();
  CHECK(alpha.shape() == csreft::Shape{3, 3});
  for (std::int64_t e = 0; e < 3; ++e) CHECK(alpha.data<double>()[e * 3] == 1.0);
  CHECK(pass->gates()->probabilities.shape() == csreft::Shape{3, 2});
}

TEST_CASE("gates that are given take the place of the router's") {
  const TinyTask task = tiny_task();
  const TinyMethod stacked(options_of("csreft")), loreft(options_of("loreft"));
  perturb(*stacked);
  for (const auto& p : loreft->parameters()) set(*loreft, p.name, value_of(*stacked, p.name).slice(2, 4));
  const std::vector<double> second{0.0, 1.0, 0.0}, two{1.0, 0.0};
  const auto pass = stacked->attach({task.batch, task.prompts, {}, {}, second});
  const Tensor hidden = stacked.model->forward(task.batch, pass->points()).value();
  CHECK(largest_difference(hidden, hidden_of(loreft, task)) < rounding);
  CHECK(contains(error_text([&] {
                   stacked->attach({task.batch, task.prompts, {}, {}, two});
                 }),
                 "--alpha has 2 numbers, the adapter 3 subspaces"));
  CHECK(contains(error_text([&] { loreft->attach({task.batch, task.prompts, {}, {}, second}); }), "has no gates"));
}

TEST_CASE("every formula has subspaces whose overlap can be told, with an orthonormal R or a free V") {
  for (const auto* formula : csreft::interventions()) {
    if (!csreft::has_rank(*formula)) continue;
    CAPTURE(formula->name);
    auto options = options_of("csreft");
    options["edit"] = formula->name;
    options["edit_start"] = "published";
    const TinyMethod made(options);
    const auto bases = made->routing()->bases();
    REQUIRE(bases.size() == 2);
    CHECK(bases.front().shape() == csreft::Shape{6, 12});
    const Tensor overlap = csreft::subspace_overlap(bases, 3);
    for (std::int64_t i = 0; i < 3; ++i) CHECK(overlap.data<double>()[i * 4] == doctest::Approx(1.0));
    CHECK(csreft::mean_overlap(overlap) > 0.01);
    CHECK(csreft::mean_overlap(overlap) < 1.0);
  }
}

TEST_CASE("gates by token go with generated tokens alone, and beside other methods with those of prompts") {
  const TinyTask task = tiny_task();
  csreft::MethodOptions options{"lora+csreft",
                                {{"layers", "1,2"},
                                 {"rank", 2},
                                 {"csreft.gate_scope", "token"},
                                 {"csreft.router_hidden", 5},
                                 {"csreft.positions", "everywhere"}}};
  const auto refusal = [&] {
    const TinyMethod made(options);
    return error_text([&] { made->attach({task.batch, task.prompts}); });
  };
  CHECK(contains(refusal(), "gates by token cannot follow generated tokens beside other methods"));
  for (const auto& [name, value] : {std::pair{"csreft.positions", "all"}, {"csreft.gate_scope", "prompt"}}) {
    auto other = options;
    std::swap(other, options);
    options[name] = value;
    CHECK(refusal().empty());
    std::swap(other, options);
  }
}

TEST_CASE("subspaces are orthonormal each, or all together when they are joint") {
  for (const bool joint : {false, true}) {
    auto options = options_of("csreft");
    options["joint"] = joint;
    const TinyMethod made(options);
    const auto& R = made->parameters().front();
    REQUIRE(R.name == "0.t.R");
    CHECK(R.manifold == csreft::ParameterManifold::stiefel);
    CHECK(R.block_rows == (joint ? 6 : 2));
    CHECK(csreft::orthonormality_error(R.value.value(), R.block_rows) < rounding);
    for (const auto& p : made->parameters()) {
      CHECK((p.part == csreft::ParameterPart::router) == p.name.starts_with("router."));
    }
  }
}
