// What the tests of the router share: a small method, prompts for it, and its gates.
#pragma once

#include "core/tensor/random.h"
#include "tests/compare.h"
#include "tests/error_text.h"
#include "tests/reft/method_tools.h"

// Two orders of the same sums in f64, on values of order 1.
constexpr double rounding = 1e-12;

inline csreft::Tensor row_of(const csreft::Tensor& t, std::int64_t i) { return t.slice(i, i + 1); }

inline csreft::Tensor embedding_of(const csreft::Llama& model, const TokenIds& ids) {
  return model.embed(csreft::index_tensor(ids)).value();
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
  return paper_options({{"layers", "1"},
                        {"rank", 2},
                        {"positions", "f1=l1"},
                        {"subspaces", 3},
                        {"router_hidden", 6},
                        {"router_input", input}});
}

inline std::vector<TokenIds> prompts_of(const TinyTask& task) {
  std::vector<TokenIds> prompts;
  for (std::size_t e = 0; e < task.sequences.size(); ++e) {
    prompts.emplace_back(task.sequences[e].begin(), task.sequences[e].begin() + task.prompts.lengths[e]);
  }
  return prompts;
}

inline csreft::Tensor gates_of(const TinyMethod& made, const TinyTask& task) {
  const auto pass = made->attach({task.batch, task.prompts});
  made.model->forward(task.batch, pass->points());
  return pass->gates()->alpha.value();
}

// The gates of prompts alone.
inline csreft::Gates routed(const TinyMethod& made, const TinyTask& task, std::span<const std::int32_t> tasks = {}) {
  return made->routing()->route(prompts_of(task), tasks, {});
}

inline csreft::Gates gates_of_scores(const csreft::Gate& gate, const csreft::Variable& scores) {
  return gate.apply({.scores = scores,
                     .tasks = {},
                     .rows = scores.shape()[0],
                     .gates = scores.shape()[1],
                     .tensors = scores.value().options(),
                     .training = {}});
}

inline csreft::Chosen<csreft::Gate> gate_of(std::string_view name) { return {csreft::gates(), "gate", name}; }

inline csreft::Tensor gates_of(const csreft::MethodOptions& options, const TinyTask& task) {
  return gates_of(TinyMethod(options), task);
}
