// summary.json and the report's parts of a run.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/report/report.h"
#include "experiments/training/run.h"
#include "reft/interference.h"

namespace csreft {

// The measures of reft/interference.h over the test prompts of tasks that have gates, of subspaces that overlap like
// this [k, k] and of which the first `shared` are always open.
RouterMeasures router_measures(const std::vector<TaskScore>& scores, const Tensor& overlap, std::int64_t shared);
RunReport::GateHistory gate_history(const std::string& label, std::span<const StepMetrics> steps);

// Every key that summary.json has for one method.
nlohmann::json summary_json(const LanguageModel& model, const MethodRun& run, const TrainOptions& train);
void write_summary(const std::filesystem::path& folder, const nlohmann::json& summary);

// A report's parts for one method.
void add_to_report(RunReport& report, const LanguageModel& model, const MethodRun& run);
// Up to twenty of the answers that are wrong, in turn from each task. Nothing where no answers are right or wrong.
void add_mistakes(RunReport& report, const std::string& label, std::span<const Answer> answers);
void add_scores(RunReport& report, const std::string& label, const std::vector<TaskScore>& scores);
// Facts that every report shows: model, what computes, the seed where there is one, programme.
RunReport start_report(const std::string& title, const std::string& command, const LanguageModel& model,
                       std::optional<std::uint64_t> seed);

}  // namespace csreft
