// Scoring a model, with or without a method attached, on tasks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/tasks/scoring.h"
#include "experiments/training/batch.h"
#include "models/llama/generate.h"
#include "reft/methods/method.h"

namespace csreft {

struct EvaluationOptions {
  std::int64_t batch = 32;
  std::int64_t max_examples = 0;  // 0: all
  std::string system;
  std::string task{};  // for gates that are decided by it; empty: the stem of the test task's name
  bool quiet = false;
  std::string metric{};  // of scoring.h; empty: the one that suits the data
};

struct TaskScore {
  std::string task;
  std::string metric;  // of scoring.h
  double value = 0.0;
  std::int64_t n = 0;                // examples scored: fewer than were asked for after a signal
  std::vector<double> mean_gates{};  // [k] of a method that has gates, over the task's prompts
  // [k less the shared ones]: for how many of the prompts (of their tokens, where gates are by token) each of the gates
  // that are decided was the (first) most probable, or the largest where no router gives probabilities.
  std::vector<std::int64_t> chosen{};
  std::vector<std::string> outputs{};  // what was generated or chosen, by example; empty for nll
  std::vector<double> values{};        // the score of each of the outputs: 0 or 1 where they are wrong or right
  // [k] for each of the outputs: the gates of its prompt, where they are by token their mean. Empty without gates.
  std::vector<std::vector<double>> gates{};
};

// By the metric of the options, of the task's first examples. Of a conversation, the last response is scored, behind
// all that came before it. What is generated is decoded greedily, as many tokens as the task's longest output needs and
// a few more. Throws Error where metric_of() does.
TaskScore evaluate(const LanguageModel& model, const Method* method, const Task& task,
                   const EvaluationOptions& options);

// The mean value of the scores by `metric`. Throws Error if there is none.
double mean_score(std::span<const TaskScore> scores, std::string_view metric);

// The metric of the scores that are of answers, the first of them; empty: all are nll.
std::string answered_metric(std::span<const TaskScore> scores);

// Finds out before any work whether a task can be scored: throws Error for a prompt that the model's context cannot
// hold or that the method edits nowhere, and where metric_of() does. Of the first options.max_examples, as evaluate().
void check_task(const LanguageModel& model, const Method* method, const Task& task, const EvaluationOptions& options);

// The passes over batches, with the gates that each has come to.
using PassesOfBatches = std::vector<std::shared_ptr<const MethodPass>>;

// Takes out of test tasks what cannot be scored (skip_too_long), and prints a note of what any of them is without. An
// example that is scored by the most probable of its choices is too long where one of them has no room in the context:
// a response that is cut would be more probable than a whole one. Throws Error where metric_of() does.
void skip_unusable(const LanguageModel& model, std::vector<Task>& tasks, const EvaluationOptions& options);
// The same of one task, without a note.
void skip_unusable(const LanguageModel& model, Task& task, const EvaluationOptions& options);

// How a method takes part in generation: edits while prompts are read, and what stays attached afterwards. `task` is
// that of all prompts, for gates that are decided by it. `passes`, if given, receives that of each batch of prompts.
// Throws Error if the method needs a task and does not know this one.
GenerationAttachments generation_attachments(const Method* method, const std::string& task = {},
                                             PassesOfBatches* passes = nullptr);
// The same where `attach` says what takes part in a batch of prompts; `task` is an index, or -1.
using AttachPrompts = std::function<std::unique_ptr<MethodPass>(const PromptBatch& prompts)>;
GenerationAttachments generation_attachments(AttachPrompts attach, std::int32_t task,
                                             PassesOfBatches* passes = nullptr);

}  // namespace csreft
