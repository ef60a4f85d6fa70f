// What an adapter costs in time and memory: in training, in reading prompts and in generation.
#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "experiments/ablations/ablation.h"
#include "experiments/ablations/tables.h"

namespace csreft {
namespace {

using nlohmann::json;

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

// Reading prompts, to the first token of the first; and generating, from the last one's first token to its last.
struct Seconds {
  double reading = std::numeric_limits<double>::infinity(), generating = reading;
};

Seconds generate_once(const Llama& model, const Method* method, const std::string& task,
                      std::span<const std::vector<std::int32_t>> prompts, std::int64_t n_tokens) {
  const NoGrad no_grad;
  GenerationOptions options;
  options.max_new_tokens = n_tokens;
  const auto attachments = generation_attachments(method, task);
  std::vector<Clock::time_point> tokens;
  const Clock::time_point start = Clock::now();
  static_cast<void>(generate(model, prompts, options, attachments, [&](std::size_t, std::int32_t) {
    tokens.push_back(Clock::now());
    return true;
  }));
  return {seconds_between(start, tokens.front()), seconds_between(tokens[prompts.size() - 1], tokens.back())};
}

// Tokens a second of the model with the method and without: in turn, so that both see the same machine, each the best
// of three.
json measure(const LanguageModel& model, const Method& method, const TaskSet& tasks) {
  constexpr std::size_t n_prompts = 8;
  constexpr std::int64_t n_tokens = 17;  // the first comes with the prompt
  constexpr int repetitions = 3;
  const Task& task = tasks.test.front();
  const auto prompts =
      encode_prompts(model, std::span(task.examples).first(std::min(n_prompts, task.examples.size())), "");
  double prompt_tokens = 0.0;
  for (const auto& prompt : prompts) prompt_tokens += static_cast<double>(prompt.size());
  const std::string stem(task_stem(task.name));
  Seconds with, without;
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    for (auto& [best, attached] : {std::pair<Seconds&, const Method*>(without, nullptr), {with, &method}}) {
      const Seconds now = generate_once(model.llama, attached, stem, prompts, n_tokens);
      best = {std::min(best.reading, now.reading), std::min(best.generating, now.generating)};
    }
  }
  const double generated = static_cast<double>(prompts.size()) * static_cast<double>(n_tokens - 1);
  return {{"prompt_tokens_per_second", prompt_tokens / with.reading},
          {"prompt_tokens_per_second_of_model", prompt_tokens / without.reading},
          {"generated_tokens_per_second", generated / with.generating},
          {"generated_tokens_per_second_of_model", generated / without.generating}};
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
      "prompt_tokens_per_second\tprompt_overhead\tgenerated_tokens_per_second\tgeneration_overhead\tdrift\tdiverged\n";
  for (const auto& cell : cells) {
    const json& rates = cell.summary.at("measured").at("after");
    const auto rate = [&](const char* name) { return rates.at(name).get<double>(); };
    const double prompt = rate("prompt_tokens_per_second"), generated = rate("generated_tokens_per_second");
    text += fmt::format("{}\t{}\t{}\t{:.4f}\t{:.0f}\t{}\t{:.0f}\t{:.4f}\t{:.1f}\t{:.4f}\t{}\t{}\n", cell.variant,
                        cell.seed, cell.trainable_parameters, mean_score(cell.scores, metrics_of(cell).front()),
                        cell.tokens_per_second, cell.peak_memory_bytes, prompt,
                        rate("prompt_tokens_per_second_of_model") / prompt - 1.0, generated,
                        rate("generated_tokens_per_second_of_model") / generated - 1.0, text_of(drift(cell, untrained)),
                        has_diverged(cell) ? "yes" : "");
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
        "    where it edits; lora: of about as many parameters",
    .reason =
        "The same tasks are trained, and the same prompts read and continued, with each adapter and with the model "
        "alone, in turn. prompt_overhead and generation_overhead are the additional time, as a share of the model's. "
        "Cells of this comparison run one at a time: what else the machine does is in its figures. Accuracy plays no "
        "part: all have one learning rate, whichever suits them.",
    .variants = overhead_variants,
    .reference = [](const std::string&) { return std::string("single"); },
    .cells_table = cells_table,
    .one_at_a_time = true,
};

}  // namespace csreft
