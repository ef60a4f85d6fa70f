// Scores, before and after training, and differences between methods.
#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <string_view>

#include "experiments/report/page.h"
#include "experiments/report/sections.h"
#include "experiments/report/uncertainty.h"
#include "experiments/tasks/scoring.h"

namespace csreft::sections {
namespace {

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
  return is_share(metric) ? fmt::format("{:.1f} %", 100 * value) : fmt::format("{:.3f}", value);
}

// A value, and in brackets the interval that it lies in, or its deviation.
std::string cell(const BarChart& chart, std::size_t series, std::size_t group, bool over_seeds) {
  const auto& [name, values, errors, colour] = chart.series[series];
  if (!values[group]) return "";
  std::string text = fmt::format("{:.{}f}", *values[group], chart.decimals);
  if (errors.empty() || !errors[group]) return text;
  const auto [low, high] = *errors[group];
  if (over_seeds) return text + fmt::format(" ± {:.{}f}", (high - low) / 2.0, chart.decimals);
  return text + fmt::format(" ({:.{}f}–{:.{}f})", low, chart.decimals, high, chart.decimals);
}

// A name that may go on in the next line after each underscore.
std::string breakable(const std::string& name) {
  std::string text;
  for (const char c : escape(name)) text += c == '_' ? std::string("_<wbr>") : std::string(1, c);
  return text;
}

// What the chart's bars show, as numbers: methods side by side, but for more of them than there is room for.
std::string table_of(const BarChart& chart, bool over_seeds) {
  Names methods;
  for (const auto& series : chart.series) methods.push_back(series.name);
  constexpr std::size_t most_across = 4;
  const bool by_method = methods.size() > std::max(most_across, chart.groups.size());
  const Names& across = by_method ? chart.groups : methods;
  const Names& down = by_method ? methods : chart.groups;
  std::string head = fmt::format("<tr><th>{}</th>", escape(chart.y_label)), rows;
  for (const auto& name : across) head += fmt::format("<th>{}</th>", breakable(name));
  for (std::size_t i = 0; i < down.size(); ++i) {
    rows += fmt::format("<tr><td>{}</td>", breakable(down[i]));
    for (std::size_t j = 0; j < across.size(); ++j) {
      rows += fmt::format("<td>{}</td>", by_method ? cell(chart, i, j, over_seeds) : cell(chart, j, i, over_seeds));
    }
    rows += "</tr>\n";
  }
  return table(head + "</tr>", rows);
}

// Whether bars are deviations over seeds: then what has one run has none.
bool is_over_seeds(const RunReport& report) {
  return std::ranges::any_of(report.scores, [](const auto& s) { return s.deviation.has_value(); });
}

// The interval of a score: its deviation over seeds to both sides or, of a report without seeds, where an accuracy
// lies.
std::optional<Interval> interval_of(const RunReport::Score& score, bool over_seeds) {
  if (score.deviation) return Interval{score.value - *score.deviation, score.value + *score.deviation};
  if (over_seeds || !is_share(score.metric) || score.n == 0) return std::nullopt;
  return wilson_interval(score.value, score.n);
}

BarChart bars_of(const RunReport& report, const std::string& metric, const Colours& colours) {
  const bool share = is_share(metric);
  const bool over_seeds = is_over_seeds(report);
  const double scale = share ? 100.0 : 1.0;
  const std::string name = metric == "accuracy" ? "Accuracy" : metric;
  const std::string_view unit = find_metric(metric).unit;
  BarChart chart{.id = {},
                 .title = name + " on the test examples",
                 .y_label = share          ? metric + " (%)"
                            : unit.empty() ? metric
                                           : fmt::format("{} ({})", metric, unit),
                 .groups = {},
                 .series = {},
                 .top = share ? std::optional(100.0) : std::nullopt,
                 .decimals = share ? 1 : 3};
  for (const auto& score : report.scores) {
    if (score.metric == metric) add_once(chart.groups, score.task);
  }
  for (const std::string& method : methods_of(report, metric)) {
    BarChart::Series series{.name = method, .values = {}, .errors = {}, .colour = colours.at(method)};
    for (const std::string& task : chart.groups) {
      const auto* score = find_score(report, task, metric, method);
      series.values.push_back(score == nullptr ? std::nullopt : std::optional(scale * score->value));
      const auto interval = score == nullptr ? std::nullopt : interval_of(*score, over_seeds);
      series.errors.push_back(interval ? std::optional(Interval{scale * interval->low, scale * interval->high})
                                       : std::nullopt);
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

// What the metric is, in a sentence.
std::string explain(const std::string& name) {
  const ScoreMetric& metric = find_metric(name);
  std::string text(metric.summary);
  text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text + (metric.more_is_better ? "." : "; less is better.");
}

// "60 examples of each task.", or the numbers by task.
std::string examples_text(const RunReport& report, const std::string& metric) {
  std::map<std::string, std::int64_t> n;
  for (const auto& score : report.scores) {
    if (score.metric == metric) n[score.task] = std::max(n[score.task], score.n);
  }
  const auto is_first = [&](const auto& task) { return task.second == n.begin()->second; };
  if (std::ranges::all_of(n, is_first)) {
    return fmt::format("n = {}{}.", n.begin()->second, n.size() > 1 ? " of each task" : "");
  }
  std::string text;
  for (const auto& [task, count] : n) text += fmt::format("{}{} of {}", text.empty() ? "n = " : ", ", count, task);
  return escape(text) + ".";
}

std::string scores_chart(const RunReport& report, const std::string& metric, std::size_t number,
                         const Colours& colours) {
  BarChart chart = bars_of(report, metric, colours);
  chart.id = fmt::format("scores-{}", number);
  const bool over_seeds = is_over_seeds(report);
  std::string caption = explain(metric) + " " + examples_text(report, metric);
  if (over_seeds) {
    caption += " Means over seeds; error bars: one standard deviation. What was run once has none.";
  } else if (is_share(metric)) {
    caption += fmt::format(" Error bars: where the {} on all such examples lies, at 95 % (Wilson’s interval).", metric);
  }
  if (!has_gnuplot()) return table_of(chart, over_seeds);
  return figure(chart, caption) + (shows_values(chart) ? "" : table_of(chart, over_seeds));
}

std::string card(const RunReport& report, const std::string& metric, const std::string& method,
                 const Summary& summary) {
  const auto details = std::ranges::find(report.methods, method, &RunReport::Method::name);
  std::string text = fmt::format("<div class=\"card\"><h3>{}</h3><div class=\"number\">", escape(method));
  if (summary.before) text += fmt::format("<span>{} →</span> ", show_value(metric, *summary.before));
  text +=
      fmt::format("{}</div><p>Mean {} over {} {}{}", show_value(metric, summary.value), escape(metric), summary.n_tasks,
                  summary.n_tasks == 1 ? "task" : "tasks", summary.before ? ", before and after training" : "");
  if (details != report.methods.end()) {
    text += fmt::format(". {} of the model’s parameters were trained, in {}", percent(details->percent),
                        duration(details->seconds));
  }
  return text + ".</p></div>\n";
}

}  // namespace

std::string headline(const RunReport& report) {
  constexpr std::size_t most_cards = 6;
  std::string cards, rows;
  std::size_t n = 0;
  for (const std::string& metric : metrics_of(report)) {
    for (const std::string& method : methods_of(report, metric)) {
      if (method == untrained_label) continue;
      const Summary summary = *summarise(report, metric, method);
      cards += card(report, metric, method, summary);
      rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", escape(method),
                          escape(metric), summary.before ? show_value(metric, *summary.before) : "",
                          show_value(metric, summary.value), summary.n_tasks);
      ++n;
    }
  }
  if (n > most_cards) {
    return table("<tr><th>Method</th><th>Metric</th><th>Untrained</th><th>Mean over tasks</th><th>Tasks</th></tr>",
                 rows);
  }
  return cards.empty() ? "" : "<div class=\"cards\">\n" + cards + "</div>\n";
}

std::string scores(const RunReport& report, const Colours& colours) {
  std::string charts;
  const Names metrics = metrics_of(report);
  for (std::size_t i = 0; i < metrics.size(); ++i) charts += scores_chart(report, metrics[i], i, colours);
  if (charts.empty()) return "";
  const bool has_before = std::ranges::count(report.scores, untrained_label, &RunReport::Score::method) > 0;
  return fmt::format("<h2>{}</h2>\n{}", has_before ? "Before and after" : "After training", charts);
}

std::string differences(const RunReport& report) {
  if (report.differences.empty()) return "";
  const std::string& base = report.differences.front().base;
  const bool has_one_base = std::ranges::all_of(report.differences, [&](const auto& d) { return d.base == base; });
  std::string rows;
  for (const auto& d : report.differences) {
    const bool share = is_share(d.metric);
    const double scale = share ? 100.0 : 1.0;
    const int decimals = share ? 1 : 3;
    const std::string error = d.error ? fmt::format(" ± {:.{}f}", scale * *d.error, decimals) : "";
    const std::string interval = d.interval ? fmt::format("{:+.{}f} to {:+.{}f}", scale * d.interval->low, decimals,
                                                          scale * d.interval->high, decimals)
                                            : "";
    const std::string pair = has_one_base ? d.method : fmt::format("{} - {}", d.method, d.base);
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{:+.{}f}{}</td><td>{}</td><td>{}</td></tr>\n",
                        escape(pair), escape(d.task.empty() ? "mean over tasks" : d.task), escape(d.metric),
                        scale * d.value, decimals, error, interval, escape(d.kind));
  }
  return fmt::format(
             "<h2>Differences{}</h2>\n<p class=\"faint\">Shares in percentage points, with one standard error; means "
             "with the interval that they lie in at 95 %, from 10,000 resamples of the examples within each task, and "
             "of the seeds, where there are several.</p>\n",
             has_one_base ? " from " + escape(base) : "") +
         table("<tr><th>Run</th><th>Task</th><th>Metric</th><th>Difference</th><th>95 %</th><th>Error from</th></tr>",
               rows);
}

}  // namespace csreft::sections
