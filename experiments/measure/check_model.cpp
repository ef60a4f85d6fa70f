#include "experiments/measure/check_model.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "core/device/device_info.h"
#include "core/tensor/random.h"
#include "experiments/cli/progress.h"
#include "experiments/measure/device_bench.h"
#include "experiments/measure/measured_methods.h"
#include "experiments/measure/random_llama.h"
#include "experiments/measure/roofline.h"
#include "experiments/training/trainer.h"
#include "models/llama/generate.h"

namespace csreft {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double gib = 0x1p-30;
constexpr double largest_edit_share = 1.5;     // % of a prompt's time
constexpr double smallest_product_share = .5;  // of the measured product, in training
constexpr double smallest_copy_share = .8;     // of reading every weight once, in decoding

std::vector<std::int32_t> random_ids(std::int64_t n, std::int64_t vocab_size, std::uint64_t stream) {
  Random random(/*seed=*/2, stream);
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < n; ++i) {
    ids.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocab_size))));
  }
  return ids;
}

// Bytes of the matrices that every token is multiplied by.
double weight_bytes(const LlamaConfig& config, Weights weights) {
  return matrix_elements(config) * (weights == Weights::frozen_bf16 ? 2.0 : 4.0);
}

// With the embedding, which is f32, and room for one matrix in f32 on its way and for the pass of a short prompt.
double bytes_needed(const LlamaConfig& config, Weights weights) {
  const double embedding = 4.0 * static_cast<double>(config.vocab_size * config.hidden_size);
  return weight_bytes(config, weights) + 2.0 * embedding + 0x1p30;
}

class ModelCheck {
 public:
  ModelCheck(CheckRun& run, const CheckedModel& checked, const DeviceLimits& limits, Weights weights)
      : run_(run),
        checked_(checked),
        limits_(limits),
        weights_(weights),
        model_(random_language_model(checked.name, checked.config, weights, run.device())) {}

  void check(std::int64_t length);

 private:
  void prompt(std::int64_t length);
  void train(const MeasuredMethod& measured, std::int64_t length);
  void decode(std::int64_t length, const std::string& how, const ops::Sampling& sampling);
  std::int64_t vocab_size() const { return checked_.config.vocab_size; }

  CheckRun& run_;
  const CheckedModel& checked_;
  const DeviceLimits& limits_;
  Weights weights_;
  LanguageModel model_;
};

void ModelCheck::check(std::int64_t length) {
  const auto with_length = [&](const std::string& what) { return fmt::format("{}, {} tokens", what, length); };
  run_.attempt(with_length("prompt"), run_.measuring(8.0), [&] { prompt(length); });
  for (const auto& method : measured_methods(checked_.edited_layers)) {
    run_.attempt(with_length(fmt::format("training, {}", method.name)), run_.measuring(12.0),
                 [&] { train(method, length); });
  }
  run_.attempt(with_length("decoding"), run_.measuring(5.0), [&] { decode(length, "decoding", {}); });
  run_.attempt(with_length("sampling"), run_.measuring(5.0),
               [&] { decode(length, "decoding with a draw", {.temperature = 0.7, .top_k = 50, .top_p = 0.9}); });
}

// One prompt, its hidden states alone: what edits add to that.
void ModelCheck::prompt(std::int64_t length) {
  const NoGrad no_grad;
  const TokenBatch batch = pack_tokens(std::vector<std::vector<std::int32_t>>{random_ids(length, vocab_size(), 0)});
  const PromptSpans spans = whole_prompts(batch);
  const double seconds = run_.measuring(2.0);
  const double plain = best_seconds(run_.device(), seconds, [&] { static_cast<void>(model_.llama.forward(batch)); });
  run_.add({.what = fmt::format("prompt of {} tokens", length),
            .value = static_cast<double>(length) / plain,
            .unit = "tokens/s"});
  for (const auto& [name, options, edits] : measured_methods(checked_.edited_layers)) {
    if (!edits) continue;
    const auto method = create_method(options, model_.llama, /*seed=*/0);
    const double edited = best_seconds(run_.device(), seconds, [&] {
      static_cast<void>(model_.llama.forward(batch, method->attach({batch, spans})->points()));
    });
    run_.add({.what = fmt::format("edits of {}, prompt of {} tokens", name, length),
              .value = 100.0 * (edited - plain) / plain,
              .unit = "%",
              .goal = largest_edit_share,
              .at_most = true,
              .remark = "of the time without them"});
  }
}

// Whole optimizer steps of packed sequences, half of whose tokens are to be predicted.
void ModelCheck::train(const MeasuredMethod& measured, std::int64_t length) {
  constexpr int most_steps = 10;
  reset_peak_memory(run_.device());
  const auto method = create_method(measured.options, model_.llama, /*seed=*/0);
  const Task task{.name = "random",
                  .examples = {{.instruction = "a", .input = "", .output = "b", .answer = {}, .dataset = ""}}};
  TrainOptions options;
  options.max_length = context_length(model_.llama.config());
  options.quiet = true;
  Trainer trainer(model_, *method, std::vector{task}, options);
  const std::int64_t n = run_.smoke() ? 1 : std::max<std::int64_t>(1, 2048 / length);
  std::vector<EncodedExample> examples;
  for (std::int64_t i = 0; i < n; ++i) {
    examples.push_back(
        {.ids = random_ids(length, vocab_size(), static_cast<std::uint64_t>(i)), .prompt_length = length / 2});
  }
  std::vector<const EncodedExample*> batch;
  for (const auto& example : examples) batch.push_back(&example);

  constexpr double lr = 1e-4;
  const double seconds = run_.measuring(6.0);
  const auto step = [&] {
    const StepMetrics metrics = trainer.step(batch, lr);
    require(std::isfinite(metrics.loss) && std::isfinite(metrics.gradient_norm),
            "the loss is {}, the gradient {}: expected finite ones", metrics.loss, metrics.gradient_norm);
    return metrics.seconds;
  };
  step();
  double best = step();
  double sum = best;
  for (int done = 1; done < most_steps && sum < seconds && !interrupted(); ++done) {
    const double taken = step();
    best = std::min(best, taken);
    sum += taken;
  }
  const double rate = static_cast<double>(n * length) / best;
  // Frozen weights have no gradient: a product forward, and one backward for the gradient of its input.
  const double flops_per_token = 4.0 * matrix_elements(checked_.config);
  const double peak = weights_ == Weights::frozen_bf16 ? limits_.gemm_bf16 : limits_.gemm_f32;
  Figure figure{
      .what = fmt::format("training, {}, {} x {} tokens", measured.name, n, length), .value = rate, .unit = "tokens/s"};
  if (peak > 0.0) {
    if (checked_.has_training_goal) figure.goal = smallest_product_share * peak / flops_per_token;
    figure.remark =
        fmt::format("{:.3g} % of the product, at 4 FLOPs a weight and token", 100.0 * rate * flops_per_token / peak);
    if (measured.edits) {  // edits go back to the lowest of them, and half of the tokens have logits
      const double flops = product_flops(
          {.config = checked_.config, .sequences = n, .length = length, .edited_layers = checked_.edited_layers});
      figure.remark += fmt::format("; {:.3g} % by what a step multiplies", 100.0 * flops / best / peak);
    }
  }
  run_.add(std::move(figure));
  run_.add({.what = fmt::format("most memory, {}, {} x {} tokens", measured.name, n, length),
            .value = static_cast<double>(device_memory(run_.device()).peak) * gib,
            .unit = "GiB",
            .remark = "of tensors, weights included"});
}

// One sequence. The first new token comes with the prompt, and the two after it from a step that is done once
// and then recorded: what counts is the time from the third to the last.
void ModelCheck::decode(std::int64_t length, const std::string& how, const ops::Sampling& sampling) {
  constexpr std::size_t first = 2;
  const std::int64_t new_tokens = run_.smoke() ? 5 : 67;
  const std::vector<std::vector<std::int32_t>> prompts{random_ids(length, vocab_size(), 0)};
  double best = 0.0;
  for (int go = 0; go < 2 && !interrupted(); ++go) {  // the first warms up
    std::vector<Clock::time_point> times;
    generate(model_.llama, prompts, {.max_new_tokens = new_tokens, .stop_tokens = {}, .sampling = sampling}, {},
             [&](std::size_t, std::int32_t) {
               times.push_back(Clock::now());
               return !interrupted();
             });
    if (interrupted()) return;
    require(times.size() > first + 1, "{} new tokens: expected more than {}", times.size(), first + 1);
    best = std::max(best, static_cast<double>(times.size() - 1 - first) /
                              std::chrono::duration<double>(times.back() - times[first]).count());
  }
  Figure figure{.what = fmt::format("{}, after {} tokens", how, length), .value = best, .unit = "tokens/s"};
  if (limits_.copy > 0.0) {
    const double whole = limits_.copy / weight_bytes(checked_.config, weights_);
    figure.goal = smallest_copy_share * whole;
    figure.remark = fmt::format("{:.3g} % of reading every weight once", 100.0 * best / whole);
  }
  run_.add(std::move(figure));
}

}  // namespace

void check_model(CheckRun& run, const CheckedModel& checked, const DeviceLimits& limits) {
  const Weights weights = checked_weights(run.device());
  const std::string name =
      fmt::format("{}, frozen weights in {}", checked.name, weights == Weights::frozen_bf16 ? "bf16" : "f32");
  run.part(name, [&] {
    const DeviceMemory memory = device_memory(run.device());
    const double room = static_cast<double>(memory.total) - static_cast<double>(memory.used);
    const double needed = run.smoke() ? 0.0 : bytes_needed(checked.config, weights);
    if (room < needed) {
      return run.leave_out(fmt::format("all of it: {:.1f} GiB needed, {:.1f} GiB there", needed * gib, room * gib));
    }
    run.attempt("all of it", run.measuring(30.0), [&] {
      ModelCheck check(run, checked, limits, weights);
      run.add(
          {.what = "memory of the model",
           .value = (static_cast<double>(device_memory(run.device()).used) - static_cast<double>(memory.used)) * gib,
           .unit = "GiB"});
      const std::array<std::int64_t, 2> lengths =
          run.smoke() ? std::array<std::int64_t, 2>{16, 32} : std::array<std::int64_t, 2>{512, 2048};
      for (const std::int64_t length : lengths) check.check(length);
    });
  });
}

}  // namespace csreft
