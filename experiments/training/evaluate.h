// Scoring a model, with or without a method attached, on tasks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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
};

struct TaskScore {
  std::string task;
  std::string metric;  // "accuracy" where every example has an answer, else "nll" (mean per response token)
  double value = 0.0;
  std::int64_t n = 0;                // examples scored: fewer than were asked for after a signal
  std::vector<double> mean_gates{};  // [k] of a method that has gates, over the task's prompts
  // [k less the shared ones]: for how many of the prompts (of their tokens, where gates are by token) each of the gates
  // that are decided was the (first) most probable, or the largest where no router gives probabilities.
  std::vector<std::int64_t> chosen{};
  std::vector<std::string> outputs{};  // what was generated, by example; empty for nll
  // [k] for each of the outputs: the gates of its prompt, where they are by token their mean. Empty without gates.
  std::vector<std::vector<double>> gates{};
};

// accuracy: greedy decoding, as many tokens as the task's longest output needs and a few more; correct if the last word
// less its final full stop equals the answer, case folded.
TaskScore evaluate(const LanguageModel& model, const Method* method, const Task& task,
                   const EvaluationOptions& options);

// The mean value of the scores by `metric`. Throws Error if there is none.
double mean_score(std::span<const TaskScore> scores, std::string_view metric);

// Finds out before any work whether a task can be scored: throws Error for a prompt that the model's context cannot
// hold or that the method edits nowhere.
void check_task(const LanguageModel& model, const Method* method, const Task& task, const EvaluationOptions& options);

// The passes over batches, with the gates that each has come to.
using PassesOfBatches = std::vector<std::shared_ptr<const MethodPass>>;

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
