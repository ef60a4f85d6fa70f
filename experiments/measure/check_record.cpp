#include "experiments/measure/check_record.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "experiments/report/page.h"

namespace csreft {
namespace {

using nlohmann::json;

// Three digits that count, and no power of ten: 0.0123, 1.23, 12.3, 12345; whole numbers as they are.
std::string digits(double value) {
  const int decimals =
      value == std::round(value) ? 0 : std::clamp(2 - static_cast<int>(std::floor(std::log10(std::abs(value)))), 0, 6);
  return fmt::format("{:.{}f}", value, decimals);
}

std::string goal_text(const Figure& f) {
  return !f.goal ? "" : fmt::format("{} {}", f.at_most ? "at most" : "at least", digits(*f.goal));
}

std::string figure_row(const Figure& f) {
  const std::string verdict = !f.goal ? "" : f.reached() ? "<span class=\"right\">reached</span>" : "not reached";
  return fmt::format("<tr><td>{}</td><td>{} {}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", escape(f.what),
                     digits(f.value), escape(f.unit), goal_text(f), verdict, escape(f.remark));
}

std::string part_section(const CheckPart& part) {
  std::string html = fmt::format("<h2>{}</h2>\n", escape(part.name));
  for (const auto& text : part.failures) html += fmt::format("<p class=\"warning\">Failed: {}</p>\n", escape(text));
  if (!part.figures.empty()) {
    html +=
        "<div class=\"wide\"><table><thead><tr><th>What</th><th>Measured</th><th>To reach</th><th></th><th></th>"
        "</tr></thead><tbody>\n";
    for (const auto& f : part.figures) html += figure_row(f);
    html += "</tbody></table></div>\n";
  }
  for (const auto& text : part.left_out) html += fmt::format("<p class=\"faint\">Left out: {}</p>\n", escape(text));
  return html + fmt::format("<p class=\"faint\">{:.1f} s</p>\n", part.seconds);
}

std::string summary(const CheckRecord& record) {
  std::size_t goals = 0, reached = 0, left_out = 0, failures = 0;
  for (const auto& part : record.parts) {
    left_out += part.left_out.size();
    failures += part.failures.size();
    for (const auto& f : part.figures) {
      goals += f.goal ? 1 : 0;
      reached += f.goal && f.reached() ? 1 : 0;
    }
  }
  return fmt::format("{} of {} figures to reach are reached; {} failures; {} left out.", reached, goals, failures,
                     left_out);
}

}  // namespace

bool CheckRecord::failed() const {
  return std::ranges::any_of(parts, [](const CheckPart& part) { return !part.failures.empty(); });
}

std::string figure_line(const Figure& f) {
  std::string line = fmt::format("  {:<44} {:>9} {:<9}", f.what, digits(f.value), f.unit);
  if (f.goal) line += fmt::format("  {}: {}", goal_text(f), f.reached() ? "reached" : "not reached");
  if (!f.remark.empty()) line += "  " + f.remark;
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

json check_json(const CheckRecord& record) {
  json parts = json::array();
  for (const auto& part : record.parts) {
    json figures = json::array();
    for (const auto& f : part.figures) {
      json entry{{"what", f.what}, {"value", f.value}, {"unit", f.unit}};
      if (!f.remark.empty()) entry["remark"] = f.remark;
      if (f.goal) {
        entry[f.at_most ? "at_most" : "at_least"] = *f.goal;
        entry["reached"] = f.reached();
      }
      figures.push_back(std::move(entry));
    }
    parts.push_back({{"name", part.name},
                     {"seconds", part.seconds},
                     {"figures", std::move(figures)},
                     {"left_out", part.left_out},
                     {"failures", part.failures}});
  }
  json facts = json::object();
  for (const auto& [name, value] : record.facts) facts[name] = value;
  return {{"command", record.command},         {"device", record.device},   {"facts", std::move(facts)},
          {"interrupted", record.interrupted}, {"failed", record.failed()}, {"parts", std::move(parts)}};
}

std::string check_page(const CheckRecord& record) {
  std::string body = fmt::format("<p class=\"faint\">{}</p>\n", escape(record.device));
  if (record.interrupted) {
    body += "<p class=\"warning\">The check was interrupted: what follows is what it had reached by then.</p>\n";
  }
  body += fmt::format("<p>{}</p>\n", summary(record));
  for (const auto& part : record.parts) body += part_section(part);
  body += fmt::format("<h2>How to repeat this</h2>\n<pre>{}</pre>\n<dl>", escape(record.command));
  for (const auto& [name, value] : record.facts) {
    body += fmt::format("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
  }
  return html_page(record.title, body + "</dl>\n");
}

}  // namespace csreft
