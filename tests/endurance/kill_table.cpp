#include "tests/endurance/kill_table.h"

#include <algorithm>
#include <chrono>

#include <fmt/ranges.h>

#include "core/base/error.h"
#include "experiments/cli/progress.h"
#include "tests/endurance/interposed.h"
#include "tests/endurance/killed_commands.h"
#include "tests/source.h"

namespace {

std::vector<KilledGroup> chosen(const std::string& name) {
  auto groups = killed_groups();
  if (name.empty()) return groups;
  std::vector<std::string> names;
  for (const auto& group : groups) names.push_back(group.name);
  csreft::require(std::ranges::count(names, name) == 1, "nothing named {} is killed: expected one of {}", name,
                  fmt::join(names, ", "));
  std::erase_if(groups, [&name](const KilledGroup& group) { return group.name != name; });
  return groups;
}

}  // namespace

KillCounts print_kill_table(std::int64_t moments, std::uint64_t seed, const std::string& name) {
  csreft::require(moments >= 1, "--kills {} is not possible: expected 1 or more", moments);
  csreft::require(has_whole_source() && std::filesystem::exists(interposed_library()),
                  "--kills needs the project and its build: expected ./run test of a checkout, not of a bundle");
  KillCounts counts;
  fmt::print("{:<12}{:>9}{:>9}{:>14}{:>7}{:>9}{:>12}{:>10}\n", "command", "moments", "by time", "by operation", "ends",
             "losses", "half files", "seconds");
  for (const auto& group : chosen(name)) {
    const auto start = std::chrono::steady_clock::now();
    KillTally tally;
    {
      csreft::Progress progress(group.name, moments, "kills");
      tally = kill_at_random(group, {moments, seed, [&progress](const KillTally& so_far) {
                                       progress.update(so_far.moments(), static_cast<double>(so_far.moments()));
                                     }});
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    fmt::print("{:<12}{:>9}{:>9}{:>14}{:>7}{:>9}{:>12}{:>10.0f}\n", group.name, tally.moments(), tally.by_time,
               tally.by_operation, tally.ends, tally.losses, tally.half_files, took.count());
    for (const auto& fault : tally.faults) fmt::print("  {} (--kills {} --seed {})\n", fault, moments, seed);
    std::fflush(stdout);
    ++(tally.faults.empty() ? counts.passed : counts.failed);
  }
  return counts;
}
