#include "core/ranks/launcher.h"

#include <array>
#include <cstdlib>
#include <optional>

#include "core/base/error.h"
#include "core/base/whole_number.h"

namespace csreft {
namespace {

std::optional<int> number_of(const char* variable) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? std::nullopt : parse_whole_number<int>(text);
}

struct Names {
  const char *rank, *size;
};
constexpr std::array launchers{Names{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"}, Names{"PMI_RANK", "PMI_SIZE"},
                               Names{"PMIX_RANK", "SLURM_NTASKS"}};

}  // namespace

Launch launch() {
  for (const auto& [rank, size] : launchers) {
    if (const auto own = number_of(rank)) return {*own, number_of(size).value_or(0)};
  }
  return {};
}

void require_one_process(std::string_view what) {
  const auto [rank, size] = launch();
  if (size == 1) return;
  // A launcher ends all processes when one fails: only the one that says why does.
  if (rank > 0) std::exit(0);
  fail("a launcher started {}processes, and {}: expected one, without mpirun or srun",
       size == 0 ? "" : fmt::format("{} ", size), what);
}

}  // namespace csreft
