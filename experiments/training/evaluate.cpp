#include "experiments/training/evaluate.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <unordered_map>

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

std::size_t n_scored(const Task& task, const EvaluationOptions& options) {
  const std::size_t all = task.examples.size();
  return options.max_examples > 0 ? std::min(all, static_cast<std::size_t>(options.max_examples)) : all;
}

std::int64_t longest_response(const LanguageModel& model, const Task& task) {
  std::size_t longest = 0;
  for (const auto& e : task.examples) {
    longest = std::max(longest, encode_response(*model.chat, model.tokenizer, e.output).size());
  }
  return static_cast<std::int64_t>(longest) + extra_tokens;
}

std::span<const Example> batch_of(const Task& task, std::int64_t begin, std::int64_t n, std::int64_t size) {
  return std::span(task.examples)
      .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(std::min(size, n - begin)));
}

struct Scoring {
  const LanguageModel& model;
  const Method* method;
  const Task& task;
  const EvaluationOptions& options;
  const ScoreMetric& metric;
  std::int64_t n;  // examples to be scored
};

void score_generated(const Scoring& s, TaskScore& score, PassesOfBatches& passes) {
  const LanguageModel& model = s.model;
  GenerationOptions generation;
  generation.max_new_tokens = longest_response(model, s.task);
  generation.stop_tokens = stop_tokens(model);
  const GenerationAttachments attachments = generation_attachments(s.method, gate_task(s.task, s.options), &passes);
  Progress progress("score " + s.task.name, s.n, "", s.options.quiet);
  double sum = 0.0;
  for (std::int64_t begin = 0; begin < s.n && !interrupted(); begin += s.options.batch) {
    const auto examples = batch_of(s.task, begin, s.n, s.options.batch);
    const auto prompts = encode_prompts(model, examples, s.options.system);
    const auto generated = generate(model.llama, prompts, generation, attachments);
    for (std::size_t i = 0; i < generated.size(); ++i) {
      score.outputs.push_back(model.tokenizer.decode(generated[i]));
      score.values.push_back(s.metric.score(score.outputs.back(), expected_of(examples[i], s.metric)));
      sum += score.values.back();
    }
    score.n += std::ssize(generated);
    score.value = sum / static_cast<double>(score.n);
    if (s.method != nullptr) add_gates_by_example(*passes.back(), prompts, score);
    progress.update(score.n, 0, fmt::format("{} {:.3f}", s.metric.name, score.value));
  }
}

// The hidden states of encoded examples; the pass that the method took part in is added to `passes`.
Variable forward(const Scoring& s, const SupervisedBatch& batch, PassesOfBatches& passes) {
  Attachments points;
  if (s.method != nullptr) {
    const std::vector<std::int32_t> tasks(batch.prompts.starts.size(),
                                          s.method->task_index(gate_task(s.task, s.options)));
    const std::shared_ptr<MethodPass> pass = s.method->attach({batch.tokens, batch.prompts, tasks});
    passes.push_back(pass);
    points = pass->points();
  }
  return s.model.llama.forward(batch.tokens, points);
}

SupervisedBatch pack(std::span<const EncodedExample> encoded) {
  std::vector<const EncodedExample*> pointers;
  for (const auto& e : encoded) pointers.push_back(&e);
  return pack_examples(pointers);
}

void score_likelihood(const Scoring& s, TaskScore& score, PassesOfBatches& passes) {
  const NoGrad no_grad;
  const LanguageModel& model = s.model;
  constexpr std::int64_t examples_per_pass = 4;
  Progress progress("score " + s.task.name, s.n, "", s.options.quiet);
  double total = 0.0;
  std::int64_t tokens = 0;
  for (std::int64_t begin = 0; begin < s.n && !interrupted(); begin += examples_per_pass) {
    std::vector<EncodedExample> encoded;
    for (std::int64_t i = begin; i < std::min(s.n, begin + examples_per_pass); ++i) {
      encoded.push_back(encode_example(model, s.task, static_cast<std::size_t>(i), s.options.system,
                                       context_length(model.llama.config())));
    }
    const SupervisedBatch batch = pack(encoded);
    const Variable hidden = forward(s, batch, passes);
    total += head_cross_entropy(gather_rows(hidden, batch.rows), model.llama.head(), batch.targets, 1.0).value().item();
    tokens += batch.n_supervised();
    score.n += static_cast<std::int64_t>(encoded.size());
    score.value = total / static_cast<double>(std::max<std::int64_t>(tokens, 1));
    progress.update(score.n, static_cast<double>(tokens), fmt::format("nll {:.4f}", score.value));
  }
}

// The sum of the nll of each example's response.
std::vector<double> response_nll(const Scoring& s, std::span<const EncodedExample> encoded, PassesOfBatches& passes) {
  const Variable hidden = forward(s, pack(encoded), passes);
  std::vector<double> nll;
  std::int64_t start = 0;
  for (const auto& e : encoded) {
    const auto end = start + std::ssize(e.ids);
    std::vector<std::int32_t> rows;
    for (std::int64_t row = start + e.prompt_length - 1; row + 1 < end; ++row) {
      rows.push_back(static_cast<std::int32_t>(row));
    }
    const std::vector<std::int32_t> targets(e.ids.begin() + e.prompt_length, e.ids.end());
    nll.push_back(
        head_cross_entropy(gather_rows(hidden, index_tensor(rows)), s.model.llama.head(), index_tensor(targets), 1.0)
            .value()
            .item());
    start = end;
  }
  return nll;
}

// The most probable choice of each example, the first of equals: a pass for each choice, with a sequence for each
// example that has so many. `passes` receives the first, whose gates are those of the prompts, as all others' are.
// `on_pass` is told how many responses it had.
std::vector<std::size_t> choose(const Scoring& s, std::span<const Example> examples, std::span<const Choices> choices,
                                const ChoicesOfTask& of_task, PassesOfBatches& passes,
                                const std::function<void(std::int64_t)>& on_pass) {
  std::vector<std::size_t> chosen(examples.size(), 0);
  std::vector<double> best(examples.size(), std::numeric_limits<double>::infinity());
  for (std::size_t c = 0;; ++c) {
    std::vector<std::size_t> places;
    std::vector<EncodedExample> encoded;
    for (std::size_t i = 0; i < examples.size(); ++i) {
      if (c >= choices[i].answers.size()) continue;
      places.push_back(i);
      encoded.push_back(
          encode_response_of(s.model, examples[i], s.options.system, of_task.response_of(choices[i].answers[c])));
      require(!encoded.back().cut,
              "{}: the choice '{}' has no room in the model's context behind '{}': expected shorter ones", s.task.name,
              choices[i].answers[c], examples[i].instruction);
    }
    if (places.empty() || interrupted()) return chosen;
    PassesOfBatches others;
    const auto nll = response_nll(s, encoded, c == 0 ? passes : others);
    for (std::size_t k = 0; k < places.size(); ++k) {
      if (!(nll[k] < best[places[k]])) continue;
      best[places[k]] = nll[k];
      chosen[places[k]] = c;
    }
    on_pass(std::ssize(places));
  }
}

std::int64_t count_choices(const Scoring& s, const ChoicesOfTask& of_task) {
  std::int64_t n = 0;
  for (const auto& e : batch_of(s.task, 0, s.n, s.n)) n += std::ssize(of_task.of(e).answers);
  return n;
}

void score_choice(const Scoring& s, TaskScore& score, PassesOfBatches& passes) {
  const NoGrad no_grad;
  const ChoicesOfTask of_task(s.task);
  Progress progress("score " + s.task.name, count_choices(s, of_task), "", s.options.quiet);
  std::int64_t computed = 0;
  const auto show = [&](std::int64_t n) {
    computed += n;
    progress.update(computed, 0, score.n > 0 ? fmt::format("{} {:.3f}", s.metric.name, score.value) : "");
  };
  double right = 0.0;
  for (std::int64_t begin = 0; begin < s.n; begin += s.options.batch) {
    const auto examples = batch_of(s.task, begin, s.n, s.options.batch);
    std::vector<Choices> choices;
    for (const auto& e : examples) choices.push_back(of_task.of(e));
    PassesOfBatches own;
    const auto chosen = choose(s, examples, choices, of_task, own, show);
    if (interrupted()) break;
    for (std::size_t i = 0; i < examples.size(); ++i) {
      score.outputs.push_back(choices[i].answers[chosen[i]]);
      score.values.push_back(chosen[i] == choices[i].right ? 1.0 : 0.0);
      right += score.values.back();
    }
    score.n += std::ssize(examples);
    score.value = right / static_cast<double>(score.n);
    if (s.method != nullptr) {
      add_gates_by_example(*own.front(), encode_prompts(s.model, examples, s.options.system), score);
      passes.push_back(own.front());
    }
    show(0);
  }
}

}  // namespace

namespace {

// Each choice is computed behind a prompt of its own.
void tell_of_many_choices(const Task& task, const EvaluationOptions& options) {
  constexpr std::size_t many = 32;
  if (metric_of(task, options.metric).of != ScoreOf::chosen) return;
  const ChoicesOfTask of_task(task);
  std::size_t most = 0;
  for (const auto& e : task.examples) most = std::max(most, of_task.of(e).answers.size());
  if (most > many) {
    fmt::print("note: {}: {} answers to choose among, so that each example is computed as often\n", task.name, most);
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

void skip_unusable(const LanguageModel& model, Task& task, const EvaluationOptions& options) {
  if (metric_of(task, options.metric).of != ScoreOf::chosen) {
    skip_too_long(model, task, options.system, options.max_examples);
    return;
  }
  const ChoicesOfTask of_task(task);
  std::unordered_map<std::string, std::int64_t> lengths;
  const auto length_of = [&](const std::string& answer) {
    const auto [found, is_new] = lengths.try_emplace(answer, 0);
    if (is_new) found->second = std::ssize(encode_response(*model.chat, model.tokenizer, of_task.response_of(answer)));
    return found->second;
  };
  skip_too_long(model, task, options.system, options.max_examples, [&](const Example& example) {
    std::int64_t longest = 0;
    for (const auto& answer : of_task.of(example).answers) longest = std::max(longest, length_of(answer));
    return longest;
  });
}

void skip_unusable(const LanguageModel& model, std::vector<Task>& tasks, const EvaluationOptions& options) {
  for (auto& task : tasks) {
    skip_unusable(model, task, options);
    const std::string told = describe(task.skipped, task.examples.size());
    if (!told.empty()) fmt::print("note: {}: {}\n", task.name, told);
    tell_of_many_choices(task, options);
  }
  std::fflush(stdout);
}

void check_task(const LanguageModel& model, const Method* method, const Task& task, const EvaluationOptions& options) {
  const NoGrad no_grad;
  static_cast<void>(metric_of(task, options.metric));
  const std::int32_t index = method != nullptr ? method->task_index(gate_task(task, options)) : -1;
  const std::int64_t context = context_length(model.llama.config());
  std::vector<std::int32_t> shortest;
  for (std::size_t i = 0; i < n_scored(task, options); ++i) {
    EncodedExample e = encode_example(model, task, i, options.system, context);
    e.ids.resize(static_cast<std::size_t>(e.prompt_length));
    if (shortest.empty() || e.ids.size() < shortest.size()) shortest = std::move(e.ids);
  }
  if (method != nullptr) check_edits(*method, shortest, task.name, index);
}

TaskScore evaluate(const LanguageModel& model, const Method* method, const Task& task,
                   const EvaluationOptions& options) {
  require(options.batch >= 1, "an evaluation batch of {} is not possible: expected 1 or more", options.batch);
  const ScoreMetric& metric = metric_of(task, options.metric);
  const Scoring scoring{model, method, task, options, metric, static_cast<std::int64_t>(n_scored(task, options))};
  TaskScore score{.task = task.name, .metric = std::string(metric.name)};
  PassesOfBatches passes;
  switch (metric.of) {
    case ScoreOf::generated: score_generated(scoring, score, passes); break;
    case ScoreOf::chosen: score_choice(scoring, score, passes); break;
    case ScoreOf::likelihood: score_likelihood(scoring, score, passes); break;
  }
  add_gates(method, passes, score);
  return score;
}

std::string answered_metric(std::span<const TaskScore> scores) {
  const auto found = std::ranges::find_if(scores, [](const TaskScore& score) { return has_outputs(score.metric); });
  return found == scores.end() ? "" : found->metric;
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
