// Lists the runs of a folder, the newest first.
#include <chrono>
#include <ctime>

#include <fmt/ranges.h>

#include "experiments/cli/cli.h"
#include "experiments/cli/text_table.h"
#include "experiments/training/run_list.h"

namespace csreft {
namespace {

namespace fs = std::filesystem;

std::string date_of(fs::file_time_type time) {
  const auto system = std::chrono::file_clock::to_sys(time);
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::time_point_cast<std::chrono::system_clock::duration>(system));
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local);
  return text;
}

// "a, b, c and 5 others"
std::string short_list(const std::vector<std::string>& names) {
  constexpr std::size_t most = 4;
  if (names.size() <= most) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} others", fmt::join(names.begin(), names.begin() + most - 1, ", "),
                     names.size() - most + 1);
}

}  // namespace

int list_runs(Arguments arguments) {
  std::string folder = runs_folder_name;
  Flags flags("runs",
              "Lists the runs of a folder, the one that came on last first: name, method, data (of an evaluation, the "
              "test data), mean score, state and when it last came on.",
              {"./run runs", "./run runs runs/ablate-router"});
  flags.add_path("folder", folder, "where to look, and in the folders there", "FOLDER");
  if (!flags.parse(arguments)) return 0;
  begin_work();
  const auto runs = runs_in(folder);
  require(!runs.empty() || folder == runs_folder_name || fs::is_directory(folder),
          "{} is not a folder: expected one with runs in it", folder);
  if (runs.empty()) {
    fmt::print("no runs in {}\n", fs::absolute(folder).lexically_normal().string());
    return 0;
  }
  std::vector<std::vector<std::string>> rows{{"name", "method", "data", "mean score", "state", "date"}};
  for (const auto& run : runs) {
    rows.push_back({run.name, run.method, short_list(run.data), run.score, describe_state(run), date_of(run.changed)});
  }
  fmt::print("{}", text_table(rows));
  return 0;
}

}  // namespace csreft
