#include "experiments/report/report.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/atomic_file.h"
#include "experiments/report/page.h"
#include "experiments/report/plot.h"
#include "experiments/report/sections.h"
#include "experiments/tasks/task.h"

namespace csreft {
namespace {

using sections::add_once;
using sections::Names;

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
  for (const auto& mistakes : report.mistakes) {
    for (const auto& example : mistakes.examples) add_once(tested, example.task);
  }
  const auto test_names = shown_names(tested), train_names = shown_names(trained);
  for (auto& score : report.scores) score.task = test_names.at(score.task);
  for (auto& gates : report.gates) {
    for (auto& task : gates.tasks) task = test_names.at(task);
  }
  for (auto& mistakes : report.mistakes) {
    for (auto& example : mistakes.examples) example.task = test_names.at(example.task);
  }
  for (auto& difference : report.differences) {
    const auto found = test_names.find(difference.task);
    if (found != test_names.end()) difference.task = found->second;
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
  const sections::Colours colours = sections::colours_of(shown);
  page += sections::headline(shown) + sections::scores(shown, colours) + sections::differences(shown) +
          sections::sequences(shown) + sections::training(shown, colours) + sections::validation(shown, colours) +
          sections::gates(shown) + sections::cost(shown) + sections::samples(shown) + sections::mistakes(shown) +
          sections::how_to_repeat(shown);
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
