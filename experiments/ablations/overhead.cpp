// What an adapter costs in time and memory: in training, in reading prompts and in generation.
#include <algorithm>
#include <chrono>

#include "core/device/device_info.h"
#include "experiments/ablations/ablation.h"
#include "experiments/ablations/tables.h"

namespace csreft {
namespace {

using nlohmann::json;

double seconds_of(const std::function<void()>& work, const Device& device) {
  const auto start = std::chrono::steady_clock::now();
  work();
  synchronize(device);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Tokens a second of the model with the method and without: in turn, so that both see the same machine, each the best
// of three.
json measure(const LanguageModel& model, const Method& method, const TaskSet& tasks) {
  constexpr std::size_t n_prompts = 8;
  constexpr std::int64_t n_tokens = 16;
  constexpr int repetitions = 3;
  const Task& task = tasks.test.front();
  const auto examples = std::span(task.examples).first(std::min(n_prompts, task.examples.size()));
  const auto prompts = encode_prompts(model, examples, "");
  double prompt_tokens = 0.0;
  for (const auto& prompt : prompts) prompt_tokens += static_cast<double>(prompt.size());
  const std::string stem(task_stem(task.name));
  const Device device = model.llama.options().device;
  const auto generate_with = [&](const Method* attached, std::int64_t tokens) {
    GenerationOptions options;
    options.max_new_tokens = tokens;
    return seconds_of(
        [&] {
          const NoGrad no_grad;
          const auto attachments = generation_attachments(attached, stem);
          static_cast<void>(generate(model.llama, prompts, options, attachments));
        },
        device);
  };
  double reading[2] = {1e9, 1e9}, generating[2] = {1e9, 1e9};
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    for (const int with : {0, 1}) {
      const Method* attached = with == 1 ? &method : nullptr;
      const double first = generate_with(attached, 1), all = generate_with(attached, 1 + n_tokens);
      reading[with] = std::min(reading[with], first);
      generating[with] = std::min(generating[with], std::max(all - first, 1e-9));
    }
  }
  const double generated = static_cast<double>(prompts.size()) * static_cast<double>(n_tokens);
  return {{"prompt_tokens_per_second", prompt_tokens / reading[1]},
          {"prompt_tokens_per_second_of_model", prompt_tokens / reading[0]},
          {"generated_tokens_per_second", generated / generating[1]},
          {"generated_tokens_per_second_of_model", generated / generating[0]}};
}

std::vector<Variant> overhead_variants(const AblationBase& base) {
  const Variant csreft = csreft_variant(base, "csreft");
  std::vector<Variant> variants{single_variant(base, "single", total_rank(base)),
                                csreft,
                                csreft_variant(base, "csreft_soft", {}, "paper"),
                                csreft_variant(base, "csreft_token", {{"gate_scope", "token"}}),
                                csreft_variant(base, "csreft_f5+l5", {{"positions", "f5+l5"}}),
                                csreft_variant(base, "csreft_everywhere", {{"positions", "everywhere"}}),
                                csreft_variant(base, "csreft_all_layers", {{"layers", "all"}}),
                                lora_variant(base, "lora", csreft)};
  for (auto& variant : variants) variant.measure = measure;
  return variants;
}

std::string cells_table(std::span<const Cell> cells, const std::optional<Cell>& untrained) {
  std::string text =
      "variant\tseed\ttrainable_parameters\tmean\ttraining_tokens_per_second\tpeak_memory_bytes\t"
      "prompt_tokens_per_second\tprompt_overhead\tgenerated_tokens_per_second\tgeneration_overhead\tdrift\n";
  for (const auto& cell : cells) {
    const json& rates = cell.summary.at("measured").at("after");
    const auto rate = [&](const char* name) { return rates.at(name).get<double>(); };
    const double prompt = rate("prompt_tokens_per_second"), generated = rate("generated_tokens_per_second");
    const auto change = drift(cell, untrained);
    text += fmt::format(
        "{}\t{}\t{}\t{:.4f}\t{:.0f}\t{}\t{:.0f}\t{:.4f}\t{:.1f}\t{:.4f}\t{}\n", cell.variant, cell.seed,
        cell.trainable_parameters, mean_score(cell.scores, metrics_of(cell).front()), cell.tokens_per_second,
        cell.peak_memory_bytes, prompt, rate("prompt_tokens_per_second_of_model") / prompt - 1.0, generated,
        rate("generated_tokens_per_second_of_model") / generated - 1.0, change ? fmt::format("{:.4f}", *change) : "");
  }
  return text;
}

}  // namespace

extern const Ablation overhead_ablation;
const Ablation overhead_ablation{
    .name = "overhead",
    .summary =
        "what an adapter costs in time and memory\n"
        "    single: one subspace; csreft; _soft: preset paper; _token: gates by token; _f5+l5, _everywhere, "
        "_all_layers:\n"
        "    where it edits; lora: of no fewer parameters",
    .reason =
        "The same tasks are trained, and the same prompts read and continued, with each adapter and with the model "
        "alone, in turn. prompt_overhead and generation_overhead are the additional time, as a share of the model's. "
        "Cells of this comparison must run one at a time: what else the machine does is in its figures.",
    .variants = overhead_variants,
    .cells_table = cells_table,
};

}  // namespace csreft
