#include "experiments/measure/bench_machine.h"

#include <algorithm>
#include <chrono>
#include <fstream>

#include "core/base/threads.h"
#include "core/ops/ops.h"
#include "core/ops/packed_matrix.h"
#include "core/tensor/random.h"

namespace csreft {
namespace {

using Clock = std::chrono::steady_clock;

// The shortest time of one call, in seconds: runs of calls that last `run_seconds` each.
template <typename Call>
double best_seconds(Call&& call, double run_seconds = 0.2, int runs = 5) {
  call();
  double best = 1e30;
  for (int run = 0; run < runs; ++run) {
    const auto start = Clock::now();
    double elapsed = 0.0;
    std::int64_t calls = 0;
    while (elapsed < run_seconds) {
      call();
      ++calls;
      elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    }
    best = std::min(best, elapsed / static_cast<double>(calls));
  }
  return best;
}

}  // namespace

std::string machine_name() {
  std::ifstream info("/proc/cpuinfo");
  std::string model = "unknown processor";
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      model = line.substr(line.find(':') + 2);
      break;
    }
  }
  return fmt::format("{}, {} threads", model, threads());
}

double measure_gemm(std::int64_t rows, std::int64_t in, std::int64_t out) {
  const PackedMatrix weight(random_normal({out, in}, 0.0, 1.0, 1, 0));
  const Tensor x = random_normal({rows, in}, 0.0, 1.0, 1, 1);
  const double flops = 2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
  return flops / best_seconds([&] { static_cast<void>(weight.apply(x)); }) * 1e-9;
}

double measure_read_bandwidth() {
  constexpr std::int64_t elements = std::int64_t{1} << 27U;  // 512 MiB
  const Tensor x = Tensor::zeros({elements});
  return static_cast<double>(x.bytes()) / best_seconds([&] { static_cast<void>(ops::squared_norm(x)); }) * 1e-9;
}

}  // namespace csreft
