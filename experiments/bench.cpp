// Measures this machine's limits, then the project against them.
#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <tuple>

#include "core/base/threads.h"
#include "core/tensor/random.h"
#include "experiments/measure/bench_machine.h"
#include "experiments/measure/decode_bench.h"
#include "experiments/measure/device_bench.h"
#include "experiments/measure/measured_methods.h"
#include "experiments/measure/peak_memory.h"
#include "experiments/training/flag_groups.h"
#include "models/checkpoints/gguf_encodings.h"
#include "reft/methods/edit_sites.h"

namespace csreft {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

struct BenchOptions {
  ModelFlags model;
  std::string data;
  std::int64_t batch = 4;
  std::int64_t steps = 6;
  double gemm_peak = 0.0;  // GFLOP/s
  double bandwidth = 0.0;  // GB/s
};

// Without --data: texts of random tokens, of about the length of chat data.
Task random_task(const LanguageModel& model, std::int64_t n) {
  constexpr int prompt_tokens = 64, response_tokens = 256;
  Task task{.name = "random", .examples = {}};
  Random random(1);
  const auto text = [&](int tokens) {
    std::vector<std::int32_t> ids;
    for (int i = 0; i < tokens; ++i)
      ids.push_back(
          static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(model.llama.config().vocab_size))));
    return model.tokenizer.decode(ids);
  };
  for (std::int64_t i = 0; i < n; ++i) {
    task.examples.push_back({.instruction = text(prompt_tokens),
                             .input = "",
                             .output = text(response_tokens),
                             .answer = {},
                             .dataset = ""});
  }
  return task;
}

Task bench_task(const LanguageModel& model, const BenchOptions& options, std::int64_t n) {
  Task task = options.data.empty() ? random_task(model, n) : load_task(options.data);
  require(static_cast<std::int64_t>(task.examples.size()) >= n,
          "{} has {} examples: expected {} for this measurement, those of its warm-up included", options.data,
          task.examples.size(), n);
  task.examples.resize(static_cast<std::size_t>(n));
  return task;
}

json bench_gemm(BenchOptions& options) {
  constexpr double seconds = 1.0;
  json out;
  for (const auto& shape : {GemmShape{2048, 2048, 2048},
                            {512, 4096, 4096},
                            {1024, 576, 1536},
                            {1024, 1536, 576},
                            {256, 576, 49152},
                            {1, 576, 1536}}) {
    const double rate = measure_gemm({}, shape, Packing::automatic, seconds) * 1e-9;
    options.gemm_peak = std::max(options.gemm_peak, rate);
    out[fmt::format("{}x{}x{}", shape.rows, shape.in, shape.out)] = rate;
  }
  for (const auto& [shape, rate] : out.items()) {
    fmt::print("gemm {:<18} {:>8.1f} GFLOP/s  {:>4.0f} % of the best\n", shape, rate.get<double>(),
               100.0 * rate.get<double>() / options.gemm_peak);
  }
  return out;
}

json bench_bandwidth(BenchOptions& options) {
  options.bandwidth = measure_read_bandwidth();
  fmt::print("memory reads            {:>8.1f} GB/s\n", options.bandwidth);
  return options.bandwidth;
}

// Products of one token and of sixteen with matrices in each form, of SmolLM2-135M and of Llama-2-7B.
json bench_decode(BenchOptions& options) {
  constexpr double seconds = 0.5;
  json out;
  for (const auto& [model, in, out_features] :
       {std::tuple{"SmolLM2", std::int64_t{576}, std::int64_t{1536}}, {"Llama-2-7B", 4096, 11'008}}) {
    std::vector<DecodedForm> forms{nullptr};
    std::ranges::move(multiplied_encodings(), std::back_inserter(forms));
    for (const auto& form : forms) {
      if (form != nullptr && in % form->block_elements != 0) continue;
      const std::string name = form == nullptr ? "F32" : form->name;
      for (const std::int64_t rows : {std::int64_t{1}, std::int64_t{16}}) {
        const double rate = measure_decoding(form, {rows, in, out_features}, seconds) * 1e-9;
        out[model][name][fmt::format("batch{}_gb_per_s", rows)] = rate;
        fmt::print("{:<10} {:<4} batch {:<2}  {:>8.1f} GB/s of weights", model, name, rows, rate);
        if (options.bandwidth > 0.0) fmt::print("  {:.0f} % of what memory delivers", 100 * rate / options.bandwidth);
        fmt::print("\n");
        std::fflush(stdout);
      }
    }
  }
  return out;
}

// Floating-point operations of one training step with frozen weights: a product forward in every layer, one backward
// in each above the lowest edit (attention is not counted), and the head, forward and backward, at supervised tokens.
double training_flops(const LlamaConfig& c, std::int64_t lowest_edit, double tokens, double supervised) {
  const auto d = static_cast<double>(c.hidden_size);
  const auto kv = static_cast<double>(c.n_kv_heads * c.head_dim);
  const auto q = static_cast<double>(c.n_heads * c.head_dim);
  const double layer = 2 * d * q + 2 * d * kv + 3 * d * static_cast<double>(c.intermediate_size);
  const double passes = static_cast<double>(c.n_layers + (c.n_layers - 1 - lowest_edit));
  return 2 * layer * passes * tokens + 4 * d * static_cast<double>(c.vocab_size) * supervised;
}

// LoReFT as pyreft's comparison runs it: layers 6;12;18;24, rank 4, f5+l5 untied, sequences cut at 512 tokens, batches
// in file order, two steps to warm up.
json bench_train_loreft(BenchOptions& options) {
  constexpr std::int64_t warmup_steps = 2;
  reset_peak_run_memory(parse_device(options.model.device));
  TrainOptions train;
  train.batch = options.batch;
  train.clip = 0.0;
  train.lr = 1e-4;
  train.system = options.model.system;
  train.loss_on = "last";  // a sequence for each example
  const LanguageModel model = options.model.load();
  const auto method = create_method(compared_with_pyreft(), model.llama, 0);
  Trainer trainer(model, *method,
                  std::vector{bench_task(model, options, (options.steps + warmup_steps) * options.batch)}, train);

  const std::int64_t lowest_edit =
      parse_layers(method->options().at("layers").get<std::string>(), model.llama.config().n_layers).front();
  const auto needed = static_cast<std::size_t>((options.steps + warmup_steps) * options.batch);
  require(trainer.examples().size() == needed, "{}: some of the first {} examples are longer than {} tokens",
          options.data, needed, train.max_length);
  std::vector<double> losses;
  double tokens = 0.0, seconds = 0.0, flops = 0.0;
  for (std::int64_t s = 0; s < options.steps + warmup_steps; ++s) {
    std::vector<const EncodedExample*> batch;
    double supervised = 0.0;
    for (std::int64_t i = 0; i < options.batch; ++i) {
      batch.push_back(&trainer.examples()[static_cast<std::size_t>(s * options.batch + i)]);
      supervised += static_cast<double>(batch.back()->ids.size()) - static_cast<double>(batch.back()->prompt_length);
    }
    const StepMetrics metrics = trainer.step(batch, train.lr);
    if (s < warmup_steps) continue;
    losses.push_back(metrics.loss);
    tokens += static_cast<double>(metrics.tokens);
    seconds += metrics.seconds;
    flops += training_flops(model.llama.config(), lowest_edit, static_cast<double>(metrics.tokens), supervised);
  }
  json out{{"tokens_per_s", tokens / seconds},
           {"s_per_step", seconds / static_cast<double>(options.steps)},
           {"peak_gb", static_cast<double>(peak_run_memory(model.llama.options().device)) * 1e-9},
           {"losses", losses},
           {"tokens", tokens},
           {"trainable", count_parameters(*method).total},
           {"gflop_per_s", flops / seconds * 1e-9},
           {"machine", machine_name()}};
  fmt::print("train-loreft            {:>8.1f} tokens/s  {:.2f} s a step, {:.2f} GB at most", tokens / seconds,
             seconds / static_cast<double>(options.steps), out["peak_gb"].get<double>());
  if (options.gemm_peak > 0.0)
    fmt::print(", {:.0f} % of the GEMM peak in products with weights",
               100 * flops / seconds * 1e-9 / options.gemm_peak);
  fmt::print("\n");
  return out;
}

// Greedy decoding of 48 tokens for 1 and for 16 prompts; a token of one sequence reads every weight once.
json bench_generate(BenchOptions& options) {
  constexpr std::int64_t new_tokens = 48, most = 16;
  const LanguageModel model = options.model.load();
  const Task task = bench_task(model, options, most);
  const auto prompts = encode_prompts(model, task.examples, options.model.system);
  json out{{"machine", machine_name()}};
  for (const std::int64_t n : {std::int64_t{1}, most}) {
    double rate = 0.0;
    for (int run = 0; run < 2; ++run) {
      const auto start = Clock::now();
      generate(model.llama, std::span(prompts).first(static_cast<std::size_t>(n)),
               {.max_new_tokens = new_tokens, .stop_tokens = {}, .sampling = {}});
      rate = static_cast<double>(n * new_tokens) / std::chrono::duration<double>(Clock::now() - start).count();
    }
    out[fmt::format("batch{}_tokens_per_s", n)] = rate;
    fmt::print("generate, batch {:<2}      {:>8.1f} tokens/s", n, rate);
    if (options.bandwidth > 0.0) {
      const auto weight_bytes = static_cast<double>(model.llama.read_bytes(n));
      const double share = rate / static_cast<double>(n) * weight_bytes * 1e-9 / options.bandwidth;
      out[fmt::format("batch{}_bandwidth_share", n)] = share;
      fmt::print("  {:.0f} % of reading the {:.2f} GB of weights once a step, prompt included", 100 * share,
                 weight_bytes * 1e-9);
    }
    fmt::print("\n");
  }
  return out;
}

struct Part {
  std::string_view name;
  json (*run)(BenchOptions&);
};
constexpr std::array parts{Part{"gemm", bench_gemm}, Part{"bandwidth", bench_bandwidth}, Part{"decode", bench_decode},
                           Part{"train-loreft", bench_train_loreft}, Part{"generate", bench_generate}};

std::string part_names() {
  std::vector<std::string_view> names;
  for (const auto& part : parts) names.push_back(part.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

int bench(Arguments arguments) {
  BenchOptions options;
  std::string only, file;
  Flags flags("bench", "Measures this machine's limits, then the project against them.",
              {"./run bench",
               "./run bench --only train-loreft --data instruct.train.json --batch 4 --steps 6 --json out.json"});
  flags.group("Measurement");
  flags.add("--only", only, fmt::format("one part: {}; empty: all of them", part_names()));
  flags.add_path("--json", file, "write the numbers here; those of one part if --only names it");
  flags.add_path("--data", options.data, "examples to train on and prompts to answer; empty: random tokens");
  flags.add("--batch", options.batch, "examples in a training step");
  flags.add("--steps", options.steps, "training steps that count, after two to warm up");
  options.model.add_to(flags);
  if (!flags.parse(arguments)) return 0;
  require(options.batch >= 1 && options.steps >= 1, "--batch and --steps: expected 1 or more");
  require(only.empty() || std::ranges::find(parts, only, &Part::name) != parts.end(),
          "unknown part '{}': expected one of {}", only, part_names());
  options.model.check();
  begin_work();
  start_threads(options.model.threads);

  const auto output = open_output(file);
  json result{{"machine", machine_name()}};
  for (const auto& part : parts) {
    if (!only.empty() && only != part.name) continue;
    json measured = part.run(options);
    std::fflush(stdout);
    if (!only.empty() && measured.is_object()) {
      measured["machine"] = machine_name();
      result = measured;
    } else {
      result[std::string(part.name)] = measured;
    }
  }
  write_output(output, result.dump(2) + "\n");
  return 0;
}

}  // namespace csreft
