// What the tests of the router share: a small method, prompts for it, and its gates.
#pragma once

#include "core/tensor/random.h"
#include "reft/methods/method.h"
#include "tests/compare.h"
#include "tests/error_text.h"
#include "tests/tiny_model.h"

// Two orders of the same sums in f64, on values of order 1.
constexpr double rounding = 1e-12;

inline csreft::Tensor row_of(const csreft::Tensor& t, std::int64_t i) { return t.slice(i, i + 1); }

inline csreft::Tensor embedding_of(const csreft::Llama& model, const TokenIds& ids) {
  return csreft::ops::gather_rows(model.embedding().value(), csreft::index_tensor(ids));
}

inline csreft::Tensor mean_row(const csreft::Tensor& rows) {
  return csreft::ops::scale(csreft::ops::sum_rows(rows), 1.0 / static_cast<double>(rows.rows())).view({1, rows.cols()});
}

// Prompts that share their first token, with responses behind them.
inline TinyTask shared_start() {
  const std::vector<std::int64_t> prompts{4, 3, 5};
  return make_task({{7, 1, 2, 3, 9, 9}, {7, 11, 4, 8}, {7, 5, 5, 6, 3, 1, 2}}, prompts);
}

inline csreft::MethodOptions csreft_options(std::string_view input) {
  csreft::MethodOptions options;
  options.layers = {1};
  options.rank = 2;
  options.positions = "f1+l1";
  options.tied = true;
  options.subspaces = 3;
  options.router_hidden = 6;
  options.router_input = input;
  return options;
}

inline std::vector<TokenIds> prompts_of(const TinyTask& task) {
  std::vector<TokenIds> prompts;
  for (std::size_t e = 0; e < task.sequences.size(); ++e) {
    prompts.emplace_back(task.sequences[e].begin(), task.sequences[e].begin() + task.prompts.lengths[e]);
  }
  return prompts;
}

inline csreft::Tensor gates_of(const csreft::Method& method, const csreft::Llama& model, const TinyTask& task) {
  const auto pass = method.attach(model, {task.batch, task.prompts});
  model.forward(task.batch, pass.points);
  return pass.gates->alpha.value();
}

inline csreft::Gates gates_of_scores(const csreft::Gate& gate, const csreft::Variable& scores) {
  return gate.apply({.scores = scores,
                     .tasks = {},
                     .examples = scores.shape()[0],
                     .subspaces = scores.shape()[1],
                     .tensors = scores.value().options()});
}

inline csreft::Tensor gates_of(const csreft::MethodOptions& options, const csreft::Llama& model, const TinyTask& task) {
  return gates_of(*csreft::create_method(options, model.config(), 1, csreft::DType::f64), model, task);
}
