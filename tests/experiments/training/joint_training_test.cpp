// --joint trained end to end: R_i R_j^T = 0 after every optimizer and retraction, or a refusal.
#include <set>

#include <doctest/doctest.h>

#include "reft/interventions/intervention.h"
#include "reft/matrix_view.h"
#include "tests/experiments/training/trainer_tools.h"
#include "tests/reft/stiefel/choices.h"

using csreft::Tensor;

namespace {

constexpr std::int64_t subspaces = 3, rank = 2;

csreft::MethodOptions joint_options(std::string_view formula) {
  return small_options_of("csreft", {{"joint", true}, {"edit", formula}, {"subspaces", subspaces}, {"rank", rank}});
}

// The largest |R_i R_j^T|, i != j, over the elements and the places of a method.
double largest_overlap(const csreft::Method& method) {
  double largest = 0.0;
  for (const Tensor& base : method.routing()->bases()) {
    const Tensor R = base.to(csreft::Device{}).to(csreft::DType::f64);
    const csreft::Matrix gram = csreft::matrix(R) * csreft::matrix(R).transpose();
    for (std::int64_t i = 0; i < subspaces; ++i) {
      for (std::int64_t j = 0; j < i; ++j) {
        largest = std::max(largest, gram.block(i * rank, j * rank, rank, rank).cwiseAbs().maxCoeff());
      }
    }
  }
  return largest;
}

}  // namespace

TEST_CASE("joint subspaces stay orthogonal with every optimizer, metric and retraction, or are refused before a step") {
  std::set<std::string> refused;
  for (const auto* entry : csreft::optimizer_rules()) {
    auto choices = csreft::test::manifold_choices(entry->name);
    const auto names = csreft::option_names(*csreft::choose_optimizer(entry->name));
    if (std::ranges::find(names, "orthonormalise_every") != names.end())
      choices.push_back({{"orthonormalise_every", 2}});
    for (const auto& choice : choices) {
      CAPTURE(entry->name);
      CAPTURE(choice.dump());
      const auto method = create(joint_options("loreft")), start = create(joint_options("loreft"));
      auto options = small_options();
      options.epochs = 10;  // 30 steps
      options.optimizer = csreft::choose_optimizer(entry->name);
      csreft::set_options(*options.optimizer, choice);
      const std::string error = error_text([&] { train(*method, options); });
      if (!error.empty()) {
        CHECK(contains(error, std::string("and optimizer ") + std::string(entry->name) + " with the options given"));
        CHECK(contains(error, "expected one of riemannian_adam, riemannian_sgd, adamw+qr, sgd with its default"));
        CHECK(values(*method) == values(*start));
        refused.insert(std::string(entry->name) + (choice.empty() ? "" : " " + choice.dump()));
        continue;
      }
      const Tensor R = method->routing()->bases().front(), before = start->routing()->bases().front();
      CHECK(largest_difference(R.to(csreft::Device{}), before.to(csreft::Device{})) > 1e-2);  // it has moved
      CHECK(largest_overlap(*method) < 1e-6);  // f32 rounding of sums of 16 products of elements below 1
    }
  }
  CHECK(refused == std::set<std::string>{"adamw", "landing", "adamw+qr {\"orthonormalise_every\":2}"});
}

TEST_CASE("joint subspaces are of formulas that have an orthonormal R, which then stays so") {
  std::set<std::string_view> refused;
  for (const auto* formula : csreft::interventions()) {
    if (!csreft::has_rank(*formula)) continue;  // no formula of subspaces
    CAPTURE(formula->name);
    const std::string error = error_text([&] {
      const auto method = create(joint_options(formula->name));
      train(*method, small_options());
      CHECK(largest_overlap(*method) < 1e-6);
    });
    if (error.empty()) continue;
    CHECK(contains(error, "has none: expected --edit loreft or consreft or lobireft or direft"));
    refused.insert(formula->name);
  }
  CHECK(refused == std::set<std::string_view>{"noreft", "nodireft"});
}
