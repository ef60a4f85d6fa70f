// What a training run leaves behind: config.json, metrics.jsonl, summary.json, adapter/ and report.html in one folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/cli/cli.h"
#include "experiments/report/report.h"
#include "experiments/training/evaluate.h"
#include "experiments/training/trainer.h"
#include "reft/interference.h"

namespace csreft {

// One method, trained and scored.
struct MethodRun {
  std::string label;  // in tables and pictures: the method's name
  std::shared_ptr<const Method> method;
  MethodOptions options{};
  ParameterCount parameters;
  TrainResult result{};
  std::vector<TaskScore> scores{};
  std::size_t peak_memory_bytes = 0;
};

// runs/NAME-20261124-153000, for a run that was not told where to write.
std::filesystem::path default_run_folder(std::string_view name);

// The most bytes that a run on `device` took at a time: on a GPU those of its tensors there, on the host the resident
// set of this process.
std::size_t peak_run_memory(const Device& device);
// Counts the peak from here on, where the system allows it; elsewhere it stays that of the whole process.
void reset_peak_run_memory(const Device& device);

// Makes the folder and writes config.json: the arguments and every option of the method and of the training as it was
// understood, from which --resume goes on. If that fails, a folder that was not there before is gone again. What an
// earlier run has left there is removed, and that is said on stdout.
void write_config(const std::filesystem::path& folder, std::string_view experiment, Arguments arguments,
                  const MethodOptions& method, const TrainOptions& train);
// What write_config kept, whatever the defaults are today. Throws Error for a folder that holds no such run of
// `experiment`.
struct RunConfig {
  std::vector<std::string> arguments;
  std::string started_in;    // the working folder then; empty: not kept
  std::int64_t threads = 0;  // 0: not kept
  MethodOptions method;
  TrainOptions train;
};
RunConfig read_config(const std::filesystem::path& folder, std::string_view experiment);

// Without `quiet`, which changes nothing that is computed.
nlohmann::json to_json(const TrainOptions& options);
// {name: {metric: value, n: count}}
nlohmann::json tasks_json(const std::vector<TaskScore>& scores);
// {name: [mean gate, ...]} of the tasks that have gates.
nlohmann::json gates_json(const std::vector<TaskScore>& scores);
// The measures of reft/interference.h over the test prompts of tasks that have gates, of subspaces that overlap like
// this [k, k].
RouterMeasures router_measures(const std::vector<TaskScore>& scores, const Tensor& overlap);
RunReport::GateHistory gate_history(const std::string& label, std::span<const StepMetrics> steps);

// A run that has not been trained yet.
MethodRun start_run(const std::string& label, const std::shared_ptr<const Method>& method);
// Trains, measures the memory, scores on every task unless interrupted, and prints the scores. With `resume`, goes on
// from what the folder holds.
void train_and_score(MethodRun& run, Trainer& trainer, const LanguageModel& model, std::span<const Task> tests,
                     const EvaluationOptions& evaluation, const std::filesystem::path& folder, bool resume = false);

// Every key that summary.json has for one method.
nlohmann::json summary_json(const LanguageModel& model, const MethodRun& run, const TrainOptions& train);
void write_summary(const std::filesystem::path& folder, const nlohmann::json& summary);

// A report's parts for one method.
void add_to_report(RunReport& report, const LanguageModel& model, const MethodRun& run);
void add_scores(RunReport& report, const std::string& label, const std::vector<TaskScore>& scores);
// Facts that every report shows: model, machine's threads, seed.
RunReport start_report(const std::string& title, const std::string& command, const LanguageModel& model,
                       std::uint64_t seed);

// "sentiment.test  accuracy 0.810 (n = 200)  gates 0.00 1.00", a line a task, and the mean accuracy, on stdout.
void print_scores(const std::string& label, const std::vector<TaskScore>& scores);

}  // namespace csreft
