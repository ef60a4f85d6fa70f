#include "experiments/training/evaluate.h"

#include <algorithm>

#include "experiments/cli/progress.h"

namespace csreft {
namespace {

// Beyond the longest expected answer: a model that goes on talking is not given more room to hit by chance.
constexpr std::int64_t extra_tokens = 4;

// Counts for each row of `preferences` [rows, columns], from column `first` on, the largest.
void count_chosen(const Tensor& preferences, std::int64_t first, std::vector<std::int64_t>& chosen) {
  const Tensor values = preferences.to(DType::f64).to(Device{});
  const auto columns = static_cast<std::size_t>(values.cols()), skipped = static_cast<std::size_t>(first);
  chosen.resize(columns - skipped, 0);
  for (std::size_t row = 0; row < static_cast<std::size_t>(values.rows()); ++row) {
    const auto decided = values.span<double>().subspan(row * columns + skipped, columns - skipped);
    ++chosen[static_cast<std::size_t>(std::ranges::max_element(decided) - decided.begin())];
  }
}

// Alpha may have a tie where the router has none (topk), and is one for a shared subspace whatever the prompt.
void add_gates(const Method* method, const PassesOfBatches& passes, TaskScore& score) {
  std::int64_t n = 0;
  for (const auto& pass : passes) {
    const Gates* gates = pass->gates();
    if (gates == nullptr || !gates->alpha.defined()) continue;
    const Tensor alpha = gates->alpha.value().to(DType::f64).to(Device{});
    const auto k = static_cast<std::size_t>(alpha.cols());
    score.mean_gates.resize(k, 0.0);
    for (std::int64_t e = 0; e < alpha.rows(); ++e) {
      const auto row = alpha.span<double>().subspan(static_cast<std::size_t>(e) * k, k);
      for (std::size_t i = 0; i < k; ++i) score.mean_gates[i] += row[i];
    }
    if (gates->probabilities.defined()) {
      count_chosen(gates->probabilities.value(), 0, score.chosen);
    } else {
      count_chosen(alpha, method->routing()->shared(), score.chosen);
    }
    n += alpha.rows();
  }
  for (double& mean : score.mean_gates) mean /= static_cast<double>(n);
}

// Of the prompts of one pass, each of so many tokens.
void add_gates_by_example(const MethodPass& pass, std::span<const std::vector<std::int32_t>> prompts,
                          TaskScore& score) {
  const Gates* gates = pass.gates();
  if (gates == nullptr || !gates->alpha.defined()) return;
  const Tensor alpha = gates->alpha.value().to(DType::f64).to(Device{});
  const auto k = static_cast<std::size_t>(alpha.cols());
  const bool by_token = alpha.rows() != std::ssize(prompts);
  auto rows = alpha.span<double>();
  for (const auto& prompt : prompts) {
    const std::size_t n = by_token ? prompt.size() : 1;
    std::vector<double> mean(k, 0.0);
    for (std::size_t i = 0; i < n * k; ++i) mean[i % k] += rows[i] / static_cast<double>(n);
    rows = rows.subspan(n * k);
    score.gates.push_back(std::move(mean));
  }
}

// The task by which gates may be decided.
std::string gate_task(const Task& task, const EvaluationOptions& options) {
  return options.task.empty() ? std::string(task_stem(task.name)) : options.task;
}

std::int64_t longest_response(const LanguageModel& model, const Task& task) {
  std::size_t longest = 0;
  for (const auto& e : task.examples) {
    longest = std::max(longest, encode_response(*model.chat, model.tokenizer, e.output).size());
  }
  return static_cast<std::int64_t>(longest) + extra_tokens;
}

void score_accuracy(const LanguageModel& model, const Method* method, const Task& task, std::int64_t n,
                    const EvaluationOptions& options, TaskScore& score, PassesOfBatches& passes) {
  GenerationOptions generation;
  generation.max_new_tokens = longest_response(model, task);
  generation.stop_tokens = stop_tokens(model);
  const GenerationAttachments attachments = generation_attachments(method, gate_task(task, options), &passes);
  Progress progress("score " + task.name, n, "", options.quiet);
  std::int64_t correct = 0;
  for (std::int64_t begin = 0; begin < n && !interrupted(); begin += options.batch) {
    const auto examples =
        std::span(task.examples)
            .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(std::min(options.batch, n - begin)));
    const auto prompts = encode_prompts(model, examples, options.system);
    for (const auto& ids : generate(model.llama, prompts, generation, attachments)) {
      const std::string output = model.tokenizer.decode(ids);
      correct += is_correct(output, *task.examples[static_cast<std::size_t>(score.n)].answer) ? 1 : 0;
      score.outputs.push_back(output);
      ++score.n;
    }
    if (method != nullptr) add_gates_by_example(*passes.back(), prompts, score);
    score.value = static_cast<double>(correct) / static_cast<double>(score.n);
    progress.update(score.n, 0, fmt::format("accuracy {:.3f}", score.value));
  }
}

void score_nll(const LanguageModel& model, const Method* method, const Task& task, std::int64_t n,
               const EvaluationOptions& options, TaskScore& score, PassesOfBatches& passes) {
  const NoGrad no_grad;
  constexpr std::int64_t examples_per_pass = 4;
  Progress progress("score " + task.name, n, "", options.quiet);
  double total = 0.0;
  std::int64_t tokens = 0;
  for (std::int64_t begin = 0; begin < n && !interrupted(); begin += examples_per_pass) {
    std::vector<EncodedExample> encoded;
    for (std::int64_t i = begin; i < std::min(n, begin + examples_per_pass); ++i) {
      encoded.push_back(encode_example(model, task, static_cast<std::size_t>(i), options.system,
                                       context_length(model.llama.config())));
    }
    std::vector<const EncodedExample*> pointers;
    for (const auto& e : encoded) pointers.push_back(&e);
    const SupervisedBatch batch = pack_examples(pointers);
    Attachments points;
    if (method != nullptr) {
      const std::vector<std::int32_t> tasks(encoded.size(), method->task_index(gate_task(task, options)));
      const std::shared_ptr<MethodPass> pass = method->attach({batch.tokens, batch.prompts, tasks});
      passes.push_back(pass);
      points = pass->points();
    }
    const Variable hidden = model.llama.forward(batch.tokens, points);
    total += head_cross_entropy(gather_rows(hidden, batch.rows), model.llama.head(), batch.targets, 1.0).value().item();
    tokens += batch.n_supervised();
    score.n += static_cast<std::int64_t>(encoded.size());
    score.value = total / static_cast<double>(std::max<std::int64_t>(tokens, 1));
    progress.update(score.n, static_cast<double>(tokens), fmt::format("nll {:.4f}", score.value));
  }
}

}  // namespace

GenerationAttachments generation_attachments(const Method* method, const std::string& task, PassesOfBatches* passes) {
  if (method == nullptr) return {};
  return generation_attachments([method](const PromptBatch& prompts) { return method->attach(prompts); },
                                method->task_index(task), passes);
}

GenerationAttachments generation_attachments(AttachPrompts attach, std::int32_t task, PassesOfBatches* passes) {
  GenerationAttachments attachments;
  const auto current = std::make_shared<std::shared_ptr<MethodPass>>();
  attachments.prompt = [attach = std::move(attach), task, passes, current](const TokenBatch& prompts) {
    const std::vector<std::int32_t> tasks(static_cast<std::size_t>(prompts.n_sequences()), task);
    *current = attach({prompts, whole_prompts(prompts), tasks});
    if (passes != nullptr) passes->push_back(*current);
    return (*current)->points();
  };
  attachments.generated = [current](std::span<const std::int32_t> sequences) {
    return (*current)->generated(sequences);
  };
  return attachments;
}

void check_task(const LanguageModel& model, const Method* method, const Task& task, const EvaluationOptions& options) {
  const NoGrad no_grad;
  const std::int32_t index = method != nullptr ? method->task_index(gate_task(task, options)) : -1;
  const std::int64_t context = context_length(model.llama.config());
  std::vector<std::int32_t> shortest;
  for (std::size_t i = 0; i < task.examples.size(); ++i) {
    EncodedExample e = encode_example(model, task, i, options.system, context);
    e.ids.resize(static_cast<std::size_t>(e.prompt_length));
    if (shortest.empty() || e.ids.size() < shortest.size()) shortest = std::move(e.ids);
  }
  if (method != nullptr) check_edits(*method, shortest, task.name, index);
}

TaskScore evaluate(const LanguageModel& model, const Method* method, const Task& task,
                   const EvaluationOptions& options) {
  require(options.batch >= 1, "an evaluation batch of {} is not possible: expected 1 or more", options.batch);
  const auto all = static_cast<std::int64_t>(task.examples.size());
  const std::int64_t n = options.max_examples > 0 ? std::min(all, options.max_examples) : all;
  TaskScore score{.task = task.name, .metric = has_answers(task) ? "accuracy" : "nll"};
  PassesOfBatches passes;
  (score.metric == "accuracy" ? score_accuracy : score_nll)(model, method, task, n, options, score, passes);
  add_gates(method, passes, score);
  return score;
}

double mean_score(std::span<const TaskScore> scores, std::string_view metric) {
  double sum = 0.0, n = 0.0;
  for (const auto& score : scores) {
    if (score.n == 0 || score.metric != metric) continue;
    sum += score.value;
    ++n;
  }
  require(n > 0.0, "no task was scored by {}: expected at least one", metric);
  return sum / n;
}

}  // namespace csreft
