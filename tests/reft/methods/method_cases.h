// What the tests of methods share: small options for each, a task, and what a method makes of it.
#pragma once

#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "autograd/gradcheck.h"
#include "core/tensor/random.h"
#include "reft/interventions/intervention.h"
#include "tests/compare.h"
#include "tests/error_text.h"
#include "tests/reft/method_tools.h"

// Two orders of the same sums in f64, on values of order 1.
inline constexpr double rounding = 1e-12;

inline csreft::MethodOptions options_of(std::string_view method) {
  auto values = paper_options({{"layers", "0,2"},
                               {"rank", 2},
                               {"positions", "f2=l1"},
                               {"edit_start", "identity"},
                               {"subspaces", 3},
                               {"router_hidden", 5}})
                    .values;
  values["tasks"] = nlohmann::json::array({"one", "two"});
  csreft::MethodOptions options = options_for(method, values);
  if (method == "lora" || method == "olora") options["positions"] = "everywhere";
  return options;
}

inline std::string create_error(const csreft::MethodOptions& options) {
  return error_text([&] { TinyMethod created(options); });
}

inline bool edits(std::string_view method) {
  return options_for(method, {{"edit_start", "identity"}}).contains("edit_start");
}

// Sequences of 7, 5 and 9 tokens, whose prompts have 5, 3 and 6.
inline TinyTask tiny_task() {
  const std::vector<std::int64_t> lengths{7, 5, 9}, prompts{5, 3, 6};
  return random_task(lengths, prompts);
}

inline csreft::Tensor hidden_of(const TinyMethod& made, const TinyTask& task) {
  const auto pass = made->attach({task.batch, task.prompts});
  return made.model->forward(task.batch, pass->points()).value();
}

// Cross-entropy and, where the method has one, lambda times the penalty.
inline csreft::Variable loss_of(const TinyMethod& made, const TinyTask& task) {
  const auto pass = made->attach({task.batch, task.prompts});
  csreft::Variable loss = task_loss(*made.model, task, pass->points());
  const csreft::Routing* routing = made->routing();
  const csreft::Variable penalty = routing != nullptr ? routing->penalty(*pass->gates()) : csreft::Variable();
  if (penalty.defined()) loss = csreft::add(loss, csreft::scale(penalty, routing->lambda()));
  const csreft::Variable regulariser = made->regulariser();
  return regulariser.defined() ? csreft::add(loss, regulariser) : loss;
}

// Moves every parameter away from its start, where terms of the gradient vanish.
inline void perturb(const csreft::Method& method) {
  std::uint64_t stream = 0;
  for (const auto& p : method.parameters()) {
    const csreft::Tensor noise = csreft::random_normal(p.value.shape(), 0.0, 0.3, 8, stream++, csreft::DType::f64);
    csreft::ops::add_(p.value.value(), noise);
  }
}

inline const csreft::Tensor& value_of(const csreft::Method& method, const std::string& name) {
  const auto found = std::ranges::find(method.parameters(), name, &csreft::Parameter::name);
  REQUIRE(found != method.parameters().end());
  return found->value.value();
}

inline void set(const csreft::Method& method, const std::string& name, const csreft::Tensor& value) {
  const csreft::Tensor& target = value_of(method, name);
  REQUIRE(target.shape() == value.shape());
  std::ranges::copy(value.span<double>(), target.span<double>().begin());
}

inline std::set<std::string> names_of(const csreft::Method& method) {
  std::set<std::string> names;
  for (const auto& p : method.parameters()) names.insert(p.name);
  return names;
}

// Compares the gradients of all parameters, moved away from their start, with differences of the loss.
inline void check_gradients(const TinyTask& task, const csreft::MethodOptions& options) {
  const TinyMethod made(options);
  perturb(*made);
  std::vector<csreft::Variable> inputs;
  for (const auto& p : made->parameters()) inputs.push_back(p.value);
  const auto result = csreft::gradcheck([&] { return loss_of(made, task); }, inputs, {.sample = 3});
  CHECK_MESSAGE(result.passed, result.str());
}
