#include <algorithm>
#include <cmath>

#include "experiments/report/sections.h"
#include "experiments/tasks/scoring.h"

namespace csreft::sections {

Colours colours_of(const RunReport& report) {
  Names names;
  for (const auto& method : report.methods) add_once(names, method.name);
  for (const auto& score : report.scores) add_once(names, score.method);
  for (const auto& curve : report.validations) add_once(names, curve.method);
  std::erase(names, untrained_label);
  Colours colours{{untrained_label, 0}};
  for (std::size_t i = 0; i < names.size(); ++i) colours[names[i]] = i + 1;
  return colours;
}

std::string table(const std::string& head, const std::string& rows) {
  return fmt::format("<div class=\"wide\"><table><thead>{}</thead><tbody>\n{}</tbody></table></div>\n", head, rows);
}

void add_once(Names& names, const std::string& name) {
  if (std::ranges::find(names, name) == names.end()) names.push_back(name);
}

bool is_share(const std::string& metric) { return find_metric(metric).is_share; }

std::string percent(double value) { return fmt::format("{:.3g} %", value); }

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::lround(seconds));
  if (whole < 60) return fmt::format("{:.1f} s", seconds);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

}  // namespace csreft::sections
