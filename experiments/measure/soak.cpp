#include "experiments/measure/soak.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <fstream>

#include <unistd.h>

#include "experiments/cli/progress.h"
#include "experiments/training/trainer.h"
#include "reft/stiefel/stiefel.h"

namespace csreft {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double lr = 1e-3;
constexpr double samples_wanted = 100.0;
constexpr std::size_t samples_needed = 10;
constexpr double largest_growth = 0.01, largest_slowdown = 0.25, largest_error = 1e-5;

// Instructions and answers of a few letters.
Task few_examples() {
  Task task{.name = "letters", .examples = {}};
  for (const char* pair : {"ab", "ba"}) {
    task.examples.push_back({.instruction = std::string(4, pair[0]),
                             .input = "",
                             .output = std::string(1, pair[1]),
                             .answer = {},
                             .dataset = ""});
  }
  return task;
}

MethodOptions method_of(const SoakSetting& setting) {
  return {"csreft", {{"layers", "all"}, {"subspaces", 2}, {"rank", 4}, {"router_hidden", 8}, {"joint", setting.joint}}};
}

std::int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double largest_orthonormality_error(const Method& method) {
  double largest = 0.0;
  for (const auto& p : method.parameters()) {
    if (p.manifold != ParameterManifold::stiefel) continue;
    largest = std::max(largest, orthonormality_error(p.value.value(), p.block_rows));
  }
  return largest;
}

// The mean of a fifth of the samples, the `which`-th.
template <typename Member>
double mean_of_fifth(std::span<const SoakSample> samples, std::size_t which, Member member) {
  const std::size_t begin = samples.size() * which / 5, end = samples.size() * (which + 1) / 5;
  double sum = 0.0;
  for (std::size_t i = begin; i < end; ++i) sum += static_cast<double>(samples[i].*member);
  return sum / static_cast<double>(end - begin);
}

}  // namespace

std::string describe(const SoakSetting& setting) {
  return setting.optimizer + (setting.joint ? ", joint" : ", independent");
}

std::vector<SoakSample> soak(const LanguageModel& model, const SoakSetting& setting,
                             const std::function<void(const SoakSample&)>& on_sample) {
  const auto method = create_method(method_of(setting), model.llama, setting.seed);
  TrainOptions options;
  options.optimizer = choose_optimizer(setting.optimizer);
  options.max_length = context_length(model.llama.config());
  options.quiet = true;
  Trainer trainer(model, *method, std::vector{few_examples()}, options);
  std::vector<const EncodedExample*> batch;
  for (const auto& example : trainer.examples()) batch.push_back(&example);

  std::vector<SoakSample> samples;
  samples.reserve(static_cast<std::size_t>(2 * samples_wanted));
  const auto start = Clock::now();
  SoakSample last;
  double last_cpu = cpu_seconds();
  for (std::int64_t step = 1; step <= setting.steps && !interrupted(); ++step) {
    const StepMetrics metrics = trainer.step(batch, lr);
    require(std::isfinite(metrics.loss) && std::isfinite(metrics.gradient_norm),
            "{}: at step {} the loss is {}, the gradient {}: expected finite ones", describe(setting), step,
            metrics.loss, metrics.gradient_norm);
    const double seconds = seconds_since(start);
    const bool ends = step == setting.steps || seconds >= setting.seconds;
    const double share = std::max(static_cast<double>(step - last.step) / static_cast<double>(setting.steps),
                                  (seconds - last.seconds) / setting.seconds);
    if (!ends && share < 1.0 / samples_wanted) continue;
    const double cpu = cpu_seconds();
    const auto steps = static_cast<double>(step - last.step);
    samples.push_back({.step = step,
                       .seconds = seconds,
                       .steps_per_second = steps / std::max(seconds - last.seconds, 1e-9),
                       .steps_per_cpu_second = steps / std::max(cpu - last_cpu, 1e-9),
                       .resident_bytes = resident_bytes(),
                       .orthonormality_error = largest_orthonormality_error(*method),
                       .loss = metrics.loss});
    last = samples.back();
    last_cpu = cpu;
    on_sample(last);
    if (ends) break;
  }
  return samples;
}

SoakVerdict judge(std::span<const SoakSample> samples, bool keeps_orthonormal) {
  require(samples.size() >= samples_needed, "there are {} measurements: expected {} or more, of a longer training",
          samples.size(), samples_needed);
  constexpr std::size_t second = 1, last = 4;
  const auto change = [samples](auto member) {
    return mean_of_fifth(samples, last, member) / mean_of_fifth(samples, second, member) - 1.0;
  };
  SoakVerdict verdict;
  verdict.memory_growth = change(&SoakSample::resident_bytes);
  verdict.slowdown = -change(&SoakSample::steps_per_cpu_second);
  verdict.orthonormality_error = samples.back().orthonormality_error;
  verdict.is_memory_level = verdict.memory_growth <= largest_growth;
  verdict.is_speed_level = verdict.slowdown <= largest_slowdown;
  verdict.is_orthonormal = !keeps_orthonormal || verdict.orthonormality_error < largest_error;
  return verdict;
}

}  // namespace csreft
