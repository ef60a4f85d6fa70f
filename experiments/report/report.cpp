#include "experiments/report/report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "core/base/atomic_file.h"
#include "experiments/report/page.h"
#include "experiments/report/plot.h"
#include "experiments/tasks/task.h"

namespace csreft {
namespace {

using Names = std::vector<std::string>;

std::string with_thousands(std::int64_t n) {
  std::string digits = std::to_string(n);
  for (std::ptrdiff_t i = std::ssize(digits) - 3; i > 0; i -= 3) digits.insert(static_cast<std::size_t>(i), ",");
  return digits;
}

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::lround(seconds));
  if (whole < 60) return fmt::format("{:.1f} s", seconds);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

std::string memory(std::size_t bytes) {
  const double gib = static_cast<double>(bytes) * 0x1p-30;
  return gib < 1 ? fmt::format("{:.0f} MiB", gib * 1024) : fmt::format("{:.2f} GiB", gib);
}

std::string percent(double value) { return fmt::format("{:.3g} %", value); }

// Nothing where there is no gnuplot to draw it.
template <typename Chart>
std::string figure(const Chart& chart, const std::string& caption) {
  if (!has_gnuplot()) return "";
  return fmt::format("<figure><div class=\"wide\">{}</div><figcaption>{}</figcaption></figure>\n", draw(chart),
                     caption);
}

// What the chart's bars show, as numbers.
std::string table_of(const BarChart& chart) {
  std::string head = fmt::format("<tr><th>{}</th>", escape(chart.y_label)), rows;
  for (const auto& series : chart.series) head += fmt::format("<th>{}</th>", escape(series.name));
  for (std::size_t g = 0; g < chart.groups.size(); ++g) {
    rows += fmt::format("<tr><td>{}</td>", escape(chart.groups[g]));
    for (const auto& series : chart.series) {
      rows += "<td>";
      if (series.values[g]) rows += fmt::format("{:.{}f}", *series.values[g], chart.decimals);
      if (series.values[g] && !series.errors.empty())
        rows += fmt::format(" ± {:.{}f}", series.errors[g], chart.decimals);
      rows += "</td>";
    }
    rows += "</tr>\n";
  }
  return fmt::format("<div class=\"wide\"><table><thead>{}</tr></thead><tbody>\n{}</tbody></table></div>\n", head,
                     rows);
}

bool is_accuracy(const std::string& metric) { return metric == "accuracy"; }

void add_once(Names& names, const std::string& name) {
  if (std::ranges::find(names, name) == names.end()) names.push_back(name);
}

// What each task is called on the page: its name without the suffix of its split, unless two would then have one name.
std::map<std::string, std::string> shown_names(const Names& tasks) {
  std::map<std::string, int> count;
  for (const auto& task : tasks) ++count[task_stem(task)];
  std::map<std::string, std::string> shown;
  for (const auto& task : tasks) shown[task] = count[task_stem(task)] == 1 ? task_stem(task) : task;
  return shown;
}

// Tests and training data of one task under one name.
RunReport with_shown_names(RunReport report) {
  Names tested, trained;
  for (const auto& score : report.scores) add_once(tested, score.task);
  for (const auto& gates : report.gates) {
    for (const auto& task : gates.tasks) add_once(tested, task);
  }
  for (const auto& history : report.gate_histories) {
    for (const auto& step : history.steps) {
      for (const auto& [task, _] : step) add_once(trained, task);
    }
  }
  const auto test_names = shown_names(tested), train_names = shown_names(trained);
  for (auto& score : report.scores) score.task = test_names.at(score.task);
  for (auto& gates : report.gates) {
    for (auto& task : gates.tasks) task = test_names.at(task);
  }
  for (auto& history : report.gate_histories) {
    for (auto& step : history.steps) {
      std::map<std::string, std::vector<double>> renamed;
      for (const auto& [task, gates] : step) renamed[train_names.at(task)] = gates;
      step = std::move(renamed);
    }
  }
  return report;
}

// The mean of a metric over the tasks on which both `method` and the untrained model were scored; over all tasks of
// the method when the untrained model was not.
struct Summary {
  double value{};
  std::optional<double> before;
  std::size_t n_tasks{};
};

const RunReport::Score* find_score(const RunReport& report, std::string_view task, std::string_view metric,
                                   std::string_view method) {
  const auto found = std::ranges::find_if(report.scores, [&](const RunReport::Score& score) {
    return score.task == task && score.metric == metric && score.method == method;
  });
  return found == report.scores.end() ? nullptr : &*found;
}

std::optional<Summary> summarise(const RunReport& report, const std::string& metric, const std::string& method) {
  Summary alone;
  Summary both;
  double before = 0;
  for (const auto& score : report.scores) {
    if (score.metric != metric || score.method != method) continue;
    alone.value += score.value;
    ++alone.n_tasks;
    const auto* first = find_score(report, score.task, metric, untrained_label);
    if (first == nullptr) continue;
    both.value += score.value;
    before += first->value;
    ++both.n_tasks;
  }
  if (alone.n_tasks == 0) return std::nullopt;
  Summary summary = both.n_tasks > 0 ? both : alone;
  summary.value /= static_cast<double>(summary.n_tasks);
  if (both.n_tasks > 0) summary.before = before / static_cast<double>(both.n_tasks);
  return summary;
}

Names metrics_of(const RunReport& report) {
  Names metrics;
  for (const auto& score : report.scores) add_once(metrics, score.metric);
  return metrics;
}

// The untrained model first, then the methods in the order of their scores.
Names methods_of(const RunReport& report, const std::string& metric) {
  Names methods;
  for (const auto& score : report.scores) {
    if (score.metric == metric && score.method == untrained_label) add_once(methods, score.method);
  }
  for (const auto& score : report.scores) {
    if (score.metric == metric) add_once(methods, score.method);
  }
  return methods;
}

std::string show_value(const std::string& metric, double value) {
  return is_accuracy(metric) ? fmt::format("{:.1f} %", 100 * value) : fmt::format("{:.3f}", value);
}

std::string headline(const RunReport& report) {
  std::string cards;
  for (const std::string& metric : metrics_of(report)) {
    for (const std::string& method : methods_of(report, metric)) {
      if (method == untrained_label) continue;
      const Summary summary = *summarise(report, metric, method);
      const auto details = std::ranges::find(report.methods, method, &RunReport::Method::name);
      cards += fmt::format("<div class=\"card\"><h3>{}</h3><div class=\"number\">", escape(method));
      if (summary.before) cards += fmt::format("<span>{} →</span> ", show_value(metric, *summary.before));
      cards += fmt::format("{}</div><p>Mean {} over {} {}, {}", show_value(metric, summary.value), escape(metric),
                           summary.n_tasks, summary.n_tasks == 1 ? "task" : "tasks",
                           summary.before ? "before and after training" : "after training");
      if (details != report.methods.end()) {
        cards += fmt::format(". {} of the model’s parameters were trained, in {}", percent(details->percent),
                             duration(details->seconds));
      }
      cards += ".</p></div>\n";
    }
  }
  return cards.empty() ? "" : "<div class=\"cards\">\n" + cards + "</div>\n";
}

std::string scores_chart(const RunReport& report, const std::string& metric, std::size_t number) {
  const bool accuracy = is_accuracy(metric);
  BarChart chart{.id = fmt::format("scores-{}", number),
                 .title = accuracy ? "Accuracy on the test examples" : metric + " on the test examples",
                 .y_label = accuracy          ? "accuracy (%)"
                            : metric == "nll" ? "nll (nats per token)"
                                              : metric,
                 .groups = {},
                 .series = {},
                 .top = accuracy ? std::optional(112.0) : std::nullopt,  // room for the number over a bar of 100 %
                 .decimals = accuracy ? 1 : 3};
  for (const auto& score : report.scores) {
    if (score.metric == metric) add_once(chart.groups, score.task);
  }
  const bool over_seeds = std::ranges::any_of(report.scores, [](const auto& s) { return s.deviation.has_value(); });
  for (const std::string& method : methods_of(report, metric)) {
    BarChart::Series series{.name = method, .values = {}, .errors = {}};
    for (const std::string& task : chart.groups) {
      const auto* score = find_score(report, task, metric, method);
      const double p = score == nullptr ? 0 : score->value;
      series.values.push_back(score == nullptr ? std::nullopt : std::optional(accuracy ? 100 * p : p));
      if (over_seeds) {
        series.errors.push_back(score == nullptr ? 0 : score->deviation.value_or(0.0) * (accuracy ? 100 : 1));
      } else if (accuracy) {
        const bool has_error = score != nullptr && score->n > 0;
        series.errors.push_back(has_error ? 100 * std::sqrt(p * (1 - p) / static_cast<double>(score->n)) : 0);
      }
    }
    chart.series.push_back(std::move(series));
  }
  std::string caption = accuracy ? "The share of greedy answers whose last word is the right one." : "Less is better.";
  if (over_seeds) {
    caption += " Means over seeds; error bars: one standard deviation.";
  } else if (accuracy) {
    caption += " Error bars: one standard error, √(p(1−p)/n).";
  }
  return has_gnuplot() ? figure(chart, caption) : table_of(chart);
}

std::string scores_section(const RunReport& report) {
  std::string charts;
  const Names metrics = metrics_of(report);
  for (std::size_t i = 0; i < metrics.size(); ++i) charts += scores_chart(report, metrics[i], i);
  if (charts.empty()) return "";
  const bool has_before = std::ranges::count(report.scores, untrained_label, &RunReport::Score::method) > 0;
  return fmt::format("<h2>{}</h2>\n{}", has_before ? "Before and after" : "After training", charts);
}

std::string loss_section(const RunReport& report) {
  LineChart chart{.id = "loss",
                  .title = "Cross-entropy in training",
                  .x_label = "optimizer step",
                  .y_label = "nats per token",
                  .series = {}};
  for (const auto& method : report.methods) {
    const bool any = std::ranges::any_of(method.train_loss, [](double loss) { return std::isfinite(loss); });
    if (any) chart.series.push_back({method.name, method.train_loss});
  }
  if (chart.series.empty()) return "";
  const std::string curve = figure(chart, "Pale: each step. Full colour: an exponential average of it.");
  return curve.empty() ? "" : "<h2>Training</h2>\n" + curve;
}

std::string validation_section(const RunReport& report) {
  LineChart chart{.id = "validation",
                  .title = "Cross-entropy on validation data",
                  .x_label = "optimizer step",
                  .y_label = "nats per token",
                  .series = {}};
  std::string rows;
  for (const auto& [method, steps, values, kept] : report.validations) {
    if (steps.empty()) continue;
    chart.series.push_back({.name = method, .values = values, .x = {steps.begin(), steps.end()}});
    const auto best = static_cast<std::size_t>(std::ranges::min_element(values) - values.begin());
    rows += fmt::format("<tr><td>{}</td><td>{:.4f}</td><td>{}</td><td>{:.4f}</td><td>{}</td></tr>\n", escape(method),
                        values[best], steps[best], values.back(), kept > 0 ? kept : steps.back());
  }
  if (rows.empty()) return "";
  return "<h2>Validation</h2>\n" + figure(chart, "Of examples that the method was not trained on.") +
         "<div class=\"wide\"><table><thead><tr><th>Method</th><th>Lowest</th><th>at step</th><th>Last</th>"
         "<th>Kept: step</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div>\n";
}

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
                      "bright is open.");
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
  return "<div class=\"wide\"><table><thead><tr><th>Method</th><th>Task and largest gate:<br>normalised mutual "
         "information</th><th>Dead<br>subspaces</th><th>Overlap of<br>subspaces</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div>\n";
}

std::string gates_section(const RunReport& report) {
  std::string figures;
  for (std::size_t i = 0; i < report.gates.size(); ++i) {
    const auto& gates = report.gates[i];
    if (gates.tasks.empty() || gates.mean_alpha.empty() || gates.mean_alpha.front().empty()) continue;
    Heatmap chart{.id = fmt::format("gates-{}", i),
                  .title = "Mean gate of " + gates.method,
                  .x_label = "subspace",
                  .rows = gates.tasks,
                  .columns = {},
                  .values = gates.mean_alpha};
    for (std::size_t k = 1; k <= gates.mean_alpha.front().size(); ++k) chart.columns.push_back(std::to_string(k));
    figures +=
        figure(chart,
               "How far the router opens each subspace (0 shut, 1 open), averaged over a skill’s test prompts: rows "
               "that differ show that skills are sent through different subspaces, equal rows that the router "
               "ignores the input.");
  }
  figures += gate_histories(report) + router_table(report);
  return figures.empty() ? "" : "<h2>What the router does</h2>\n" + figures;
}

std::string methods_section(const RunReport& report) {
  if (report.methods.empty()) return "";
  std::string rows;
  for (const auto& method : report.methods) {
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.0f}</td><td>{}</td><td>{}</td></tr>\n",
                        escape(method.name), with_thousands(method.trainable_parameters), percent(method.percent),
                        percent(method.percent_without_router), method.tokens_per_second,
                        memory(method.peak_memory_bytes), duration(method.seconds));
  }
  constexpr std::string_view head = R"(<h2>Cost</h2>
<div class="wide"><table><thead><tr><th>Method</th><th>Trainable<br>parameters</th><th>of the model</th>
<th>without<br>router</th><th>Tokens/s</th><th>Peak<br>memory</th><th>Training</th></tr></thead><tbody>
)";
  return std::string(head) + rows + "</tbody></table></div>\n";
}

std::string samples_section(const RunReport& report) {
  if (report.samples.empty()) return "";
  std::string section = "<h2>Samples</h2>\n";
  for (const auto& sample : report.samples) {
    section += fmt::format("<div class=\"sample\"><p class=\"text\">{}</p><dl>", escape(sample.prompt));
    for (const auto& [label, text] : sample.outputs) {
      section += fmt::format("<dt>{}</dt><dd class=\"text{}\">{}</dd>", escape(label),
                             is_correct(text, sample.expected) ? " right" : "", escape(text));
    }
    if (!sample.expected.empty()) {
      section += fmt::format("<dt>expected</dt><dd class=\"text\">{}</dd>", escape(sample.expected));
    }
    section += "</dl></div>\n";
  }
  return section;
}

std::string run_section(const RunReport& report) {
  std::string section;
  if (!report.command.empty()) section += fmt::format("<pre>{}</pre>\n", escape(report.command));
  if (!report.facts.empty()) {
    section += "<dl>";
    for (const auto& [name, value] : report.facts) {
      section += fmt::format("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    section += "</dl>\n";
  }
  return section.empty() ? "" : "<h2>How to repeat this</h2>\n" + section;
}

}  // namespace

std::string render_report(const RunReport& report) {
  const RunReport shown = with_shown_names(report);
  std::string page;
  if (!shown.model.empty()) page += fmt::format("<p class=\"faint\">{}</p>\n", escape(shown.model));
  if (!shown.about.empty()) page += fmt::format("<p>{}</p>\n", escape(shown.about));
  page += shown.section;
  if (shown.interrupted) {
    page += "<p class=\"warning\">The run was interrupted: what follows is what it had reached by then.</p>\n";
  }
  if (!has_gnuplot()) page += "<p class=\"faint\">No pictures: there was no gnuplot when this page was made.</p>\n";
  page += headline(shown) + scores_section(shown) + loss_section(shown) + validation_section(shown) +
          gates_section(shown) + methods_section(shown) + samples_section(shown) + run_section(shown);
  return html_page(shown.title, page);
}

void write_report(const std::filesystem::path& html, const RunReport& report) {
  write_file_atomically(html, render_report(report));
  static bool told = false;  // a comparison writes its report after every cell
  if (has_gnuplot() || std::exchange(told, true)) return;
  fmt::print(
      "note: no gnuplot on this machine: the report has no pictures (Debian's package gnuplot-nox draws them)\n");
}

}  // namespace csreft
