// The course of training: losses, and what validation measured.
#include <algorithm>
#include <cmath>

#include "experiments/report/page.h"
#include "experiments/report/sections.h"

namespace csreft::sections {

std::string training(const RunReport& report, const Colours& colours) {
  LineChart chart{.id = "loss",
                  .title = "Cross-entropy in training",
                  .x_label = "optimizer step",
                  .y_label = "nats per token",
                  .series = {}};
  for (const auto& method : report.methods) {
    const bool any = std::ranges::any_of(method.train_loss, [](double loss) { return std::isfinite(loss); });
    if (any) chart.series.push_back({method.name, method.train_loss, {}, colours.at(method.name)});
  }
  if (chart.series.empty()) return "";
  const std::string curve = figure(chart, "Pale: each step. Full colour: an exponential average of it.");
  return curve.empty() ? "" : "<h2>Training</h2>\n" + curve;
}

std::string validation(const RunReport& report, const Colours& colours) {
  LineChart chart{.id = "validation",
                  .title = "Cross-entropy on validation data",
                  .x_label = "optimizer step",
                  .y_label = "nats per token",
                  .series = {}};
  std::string rows;
  for (const auto& [method, steps, values, kept] : report.validations) {
    if (steps.empty()) continue;
    chart.series.push_back(
        {.name = method, .values = values, .x = {steps.begin(), steps.end()}, .colour = colours.at(method)});
    const auto best = static_cast<std::size_t>(std::ranges::min_element(values) - values.begin());
    rows += fmt::format("<tr><td>{}</td><td>{:.4f}</td><td>{}</td><td>{:.4f}</td><td>{}</td></tr>\n", escape(method),
                        values[best], steps[best], values.back(), kept > 0 ? kept : steps.back());
  }
  if (rows.empty()) return "";
  return "<h2>Validation</h2>\n" + figure(chart, "Of examples that the method was not trained on.") +
         table("<tr><th>Method</th><th>Lowest</th><th>at step</th><th>Last</th><th>Kept: step</th></tr>", rows);
}

}  // namespace csreft::sections
