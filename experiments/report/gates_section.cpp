// What a router does: gates of the test prompts, over training, and its measures.
#include "experiments/report/page.h"
#include "experiments/report/sections.h"
#include "experiments/tasks/task.h"

namespace csreft::sections {
namespace {

// The tasks that a history speaks of, in the order of the test tasks of the same stems; others come after them.
Names tasks_in_order(const RunReport& report, const std::vector<std::map<std::string, std::vector<double>>>& steps) {
  Names there, ordered;
  for (const auto& step : steps) {
    for (const auto& [task, _] : step) add_once(there, task);
  }
  for (const auto& score : report.scores) {
    for (const auto& task : there) {
      if (task_stem(task) == task_stem(score.task)) add_once(ordered, task);
    }
  }
  for (const auto& task : there) add_once(ordered, task);
  return ordered;
}

std::string gate_histories(const RunReport& report) {
  std::string figures;
  for (std::size_t i = 0; i < report.gate_histories.size(); ++i) {
    const auto& [method, steps] = report.gate_histories[i];
    Timeline chart{.id = fmt::format("history-{}", i),
                   .title = "Gates of " + method + " over training",
                   .x_label = "optimizer step",
                   .groups = {},
                   .values = {}};
    chart.groups = tasks_in_order(report, steps);
    if (chart.groups.empty() || steps.size() < 2) continue;
    for (const auto& task : chart.groups) {
      auto& series = chart.values.emplace_back();
      for (const auto& step : steps) {
        const auto found = step.find(task);
        series.push_back(found == step.end() ? std::vector<double>{} : found->second);
      }
    }
    figures += figure(chart,
                      "A row a subspace, a band a task, from the first step to the last: dark is shut, "
                      "bright is open. A gap is a step without an example of the task.");
  }
  return figures;
}

std::string router_table(const RunReport& report) {
  if (report.routers.empty()) return "";
  std::string rows;
  for (const auto& [method, measures] : report.routers) {
    rows += fmt::format("<tr><td>{}</td><td>{:.2f}</td><td>{:.0f} %</td><td>{:.3f}</td></tr>\n", escape(method),
                        measures.normalised_mutual_information, 100 * measures.dead_share, measures.mean_overlap);
  }
  return table(
             "<tr><th>Method</th><th>Task and largest gate:<br>normalised mutual information</th><th>Dead<br>"
             "subspaces</th><th>Overlap of<br>subspaces</th></tr>",
             rows) +
         "<p class=\"faint\">Mutual information and dead subspaces (a mean gate below 0.01) are of the test prompts "
         "alone, not of the training prompts: a subspace may be dead here that other prompts open.</p>\n";
}

}  // namespace

std::string gates(const RunReport& report) {
  std::string figures;
  for (std::size_t i = 0; i < report.gates.size(); ++i) {
    const auto& shown = report.gates[i];
    if (shown.tasks.empty() || shown.mean_alpha.empty() || shown.mean_alpha.front().empty()) continue;
    Heatmap chart{.id = fmt::format("gates-{}", i),
                  .title = "Mean gate of " + shown.method,
                  .x_label = "subspace",
                  .rows = shown.tasks,
                  .columns = {},
                  .values = shown.mean_alpha};
    for (std::size_t k = 1; k <= shown.mean_alpha.front().size(); ++k) chart.columns.push_back(std::to_string(k));
    figures +=
        figure(chart,
               "How far the router opens each subspace (0 shut, 1 open), averaged over a skill’s test prompts: rows "
               "that differ show that skills are sent through different subspaces, equal rows that the router "
               "ignores the input.");
  }
  figures += gate_histories(report) + router_table(report);
  return figures.empty() ? "" : "<h2>What the router does</h2>\n" + figures;
}

}  // namespace csreft::sections
