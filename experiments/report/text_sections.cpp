// Parts of a report without pictures.
#include <fmt/ranges.h>

#include "experiments/report/page.h"
#include "experiments/report/sections.h"
#include "experiments/tasks/scoring.h"

namespace csreft::sections {
namespace {

std::string with_thousands(std::int64_t n) {
  std::string digits = std::to_string(n);
  for (std::ptrdiff_t i = std::ssize(digits) - 3; i > 0; i -= 3) digits.insert(static_cast<std::size_t>(i), ",");
  return digits;
}

std::string memory(std::size_t bytes) {
  const double gib = static_cast<double>(bytes) * 0x1p-30;
  return gib < 1 ? fmt::format("{:.0f} MiB", gib * 1024) : fmt::format("{:.2f} GiB", gib);
}

// The text, or its beginning where it is long: whole characters (UTF-8), and a mark.
std::string beginning(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end) + " …";
}

std::string mistake(const RunReport::Mistakes::Example& example) {
  constexpr std::size_t longest_text = 600;
  std::string gates;
  if (!example.gates.empty()) gates = fmt::format("<dt>gates</dt><dd>{:.2f}</dd>", fmt::join(example.gates, " "));
  return fmt::format(
      "<div class=\"sample\"><p class=\"text\">{}</p><dl><dt>task</dt><dd>{}</dd><dt>expected</dt><dd "
      "class=\"text\">{}</dd><dt>output</dt><dd class=\"text\">{}</dd>{}</dl></div>\n",
      escape(beginning(example.prompt, longest_text)), escape(example.task), escape(example.expected),
      escape(beginning(example.output, longest_text)), gates);
}

}  // namespace

std::string cost(const RunReport& report) {
  if (report.methods.empty()) return "";
  std::string rows;
  for (const auto& method : report.methods) {
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.0f}</td><td>{}</td><td>{}</td></tr>\n",
                        escape(method.name), with_thousands(method.trainable_parameters), percent(method.percent),
                        percent(method.percent_without_router), method.tokens_per_second,
                        memory(method.peak_memory_bytes), duration(method.seconds));
  }
  return "<h2>Cost</h2>\n" +
         table(
             "<tr><th>Method</th><th>Trainable<br>parameters</th><th>of the model</th>"
             "<th>without<br>router</th><th>Tokens/s</th><th>Peak<br>memory</th><th>Training</th></tr>",
             rows);
}

std::string samples(const RunReport& report) {
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

std::string mistakes(const RunReport& report) {
  if (report.mistakes.empty()) return "";
  std::string section = "<h2>What it got wrong</h2>\n";
  for (const auto& [method, wrong, n, examples] : report.mistakes) {
    const std::string count =
        fmt::format("{}: {} of {} answers {} wrong", escape(method), wrong, n, wrong == 1 ? "is" : "are");
    if (examples.empty()) {
      section += fmt::format("<p>{}.</p>\n", count);
      continue;
    }
    const bool is_cut = std::ssize(examples) < wrong;
    section += fmt::format("<details{}><summary>{}{}</summary>\n", report.mistakes.size() == 1 ? " open" : "", count,
                           is_cut ? fmt::format("; {} of them", examples.size()) : "");
    for (const auto& example : examples) section += mistake(example);
    section += "</details>\n";
  }
  return section;
}

std::string how_to_repeat(const RunReport& report) {
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

}  // namespace csreft::sections
