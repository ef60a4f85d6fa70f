#include "experiments/ablations/work.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

#include "experiments/cli/progress.h"

namespace csreft {
namespace {

bool is_done(const Variant& cell, const Setting& setting) {
  const std::filesystem::path folder = cell_folder(setting.folder, cell);
  return std::filesystem::exists(folder / "summary.json") && read_cell(folder, cell).has_value();
}

// What went wrong with a cell.
struct Failure {
  std::string cell, error;
};

std::string name_of(const Variant& cell) { return fmt::format("{}, seed {}", cell.name, cell.train.seed); }

}  // namespace

std::size_t count_done(std::span<const Variant> cells, const Setting& setting) {
  std::size_t done = 0;
  for (const auto& cell : cells) done += is_done(cell, setting) ? 1 : 0;
  return done;
}

std::size_t work_through(std::span<const Variant> cells, const Setting& setting, const std::function<void()>& after) {
  constexpr std::chrono::milliseconds moment{500};
  std::size_t own = 0;
  bool has_waited = false;
  std::vector<bool> is_over(cells.size());  // done, or failed here
  std::vector<Failure> failures;
  while (!interrupted()) {
    bool worked = false;
    for (std::size_t i = 0; i < cells.size() && !interrupted(); ++i) {
      if (is_over[i] || (is_over[i] = is_done(cells[i], setting))) continue;
      const std::string number = fmt::format("[{}/{}] ", i + 1, cells.size());
      try {
        if (!run_cell(cells[i], setting, number)) continue;
      } catch (const Error& error) {
        is_over[i] = true;
        failures.push_back({name_of(cells[i]), error.what()});
        fmt::print("\nnote: {} failed: {}\n", failures.back().cell, failures.back().error);
        std::fflush(stdout);
        continue;
      }
      worked = true;
      ++own;
      if (!interrupted()) after();
    }
    if (std::ranges::find(is_over, false) == is_over.end()) break;
    if (worked) continue;
    if (!std::exchange(has_waited, true)) {
      fmt::print("\nwaiting for cells that other processes work at\n");
      std::fflush(stdout);
    }
    std::this_thread::sleep_for(moment);
  }
  if (!failures.empty()) {
    fail("{} of {} cells failed, the first of them {}: {}", failures.size(), cells.size(), failures.front().cell,
         failures.front().error);
  }
  return own;
}

}  // namespace csreft
