#include "experiments/ablations/work.h"

#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

#include "experiments/cli/progress.h"

namespace csreft {
namespace {

bool is_done(const Variant& cell, const Setting& setting) {
  return read_cell(cell_folder(setting.folder, cell), cell).has_value();
}

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
  while (!interrupted()) {
    bool all_done = true, worked = false;
    for (std::size_t i = 0; i < cells.size() && !interrupted(); ++i) {
      if (is_done(cells[i], setting)) continue;
      all_done = false;
      const std::string number = fmt::format("[{}/{}] ", i + 1, cells.size());
      if (!run_cell(cells[i], setting, number)) continue;
      worked = true;
      ++own;
      if (!interrupted()) after();
    }
    if (all_done) break;
    if (worked) continue;
    if (!std::exchange(has_waited, true)) {
      fmt::print("\nwaiting for cells that other processes work at\n");
      std::fflush(stdout);
    }
    std::this_thread::sleep_for(moment);
  }
  return own;
}

}  // namespace csreft
