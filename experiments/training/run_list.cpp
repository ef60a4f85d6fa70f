#include "experiments/training/run_list.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "core/base/error.h"
#include "experiments/tasks/scoring.h"
#include "experiments/training/metrics.h"
#include "experiments/training/run_folder.h"
#include "experiments/training/run_options.h"

namespace csreft {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

std::int64_t count_at(const json& object, const char* key) {
  const json value = value_at(object, key);
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

std::string mean_score_of(const json& summary) {
  const json tasks = value_at(summary, "tasks");
  for (const ScoreMetric& metric : score_metrics()) {
    double sum = 0.0, n = 0.0;
    for (const json& task : tasks) {
      const json value = value_at(task, std::string(metric.name).c_str());
      if (!value.is_number()) continue;
      sum += value.get<double>();
      ++n;
    }
    if (n > 0.0) return fmt::format("{} {:.3f}", metric.name, sum / n);
  }
  return "";
}

RunState state_of(const fs::path& folder, const json& summary) {
  if (is_locked(folder)) return RunState::running;
  return summary.is_object() && value_at(summary, "interrupted") != true ? RunState::finished : RunState::unfinished;
}

RunEntry entry_of(const fs::path& folder, const std::string& name) {
  const json config = object_in(folder / "config.json"), summary = object_in(folder / "summary.json");
  const bool is_evaluation = text_at(config, "experiment") == "evaluate";
  RunEntry run{.folder = folder,
               .name = name,
               .method = text_at(summary, "method"),
               .data = data_of(config, is_evaluation ? "test" : "train"),
               .score = mean_score_of(summary),
               .state = state_of(folder, summary),
               .steps = count_lines(folder / "metrics.jsonl"),
               .total_steps = count_at(summary, "total_steps"),
               .changed = fs::file_time_type::min()};
  if (run.method.empty()) run.method = text_at(value_at(config, "method"), "method");
  for (const char* file : {"config.json", "metrics.jsonl", "summary.json", ".csreft-run"}) {
    std::error_code error;
    const auto time = fs::last_write_time(folder / file, error);
    if (!error) run.changed = std::max(run.changed, time);
  }
  return run;
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_directory(error)) folders.push_back(entry.path());
  }
  return folders;
}

}  // namespace

std::vector<RunEntry> runs_in(const fs::path& folder) {
  std::vector<RunEntry> runs;
  const auto add = [&](const fs::path& place) {
    if (holds_run(place)) runs.push_back(entry_of(place, place.lexically_relative(folder).string()));
  };
  for (const auto& place : folders_in(folder)) {
    add(place);
    std::ranges::for_each(folders_in(place), add);
  }
  std::ranges::sort(runs, [](const RunEntry& a, const RunEntry& b) {
    return a.changed != b.changed ? a.changed > b.changed : a.name < b.name;
  });
  return runs;
}

std::string describe_state(const RunEntry& run) {
  if (run.state == RunState::finished) return "finished";
  std::string text = run.state == RunState::running ? "running" : "unfinished";
  if (run.steps > 0 || run.total_steps > 0) text += fmt::format(", step {}", run.steps);
  if (run.total_steps > 0) text += fmt::format(" of {}", run.total_steps);
  return text;
}

std::string resolve_last(const std::string& text) {
  constexpr std::string_view last = "last";
  const std::size_t equals = text.find('=');
  const std::size_t begin = equals == std::string::npos ? 0 : equals + 1;
  if (text.substr(begin) != last || fs::exists(last)) return text;
  const auto runs = runs_in(runs_folder_name);
  const auto found = std::ranges::find_if(runs, [](const RunEntry& run) { return fs::exists(run.folder / "adapter"); });
  require(found != runs.end(), "--adapter last: no run in {} has an adapter; expected one, or --adapter FOLDER",
          fs::absolute(runs_folder_name).string());
  fmt::print(stderr, "note: --adapter last is {}\n", found->folder.string());
  return text.substr(0, begin) + found->folder.string();
}

}  // namespace csreft
