#include "experiments/training/run_record.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/json_file.h"
#include "experiments/training/metrics.h"
#include "experiments/training/run_folder.h"
#include "experiments/training/scores.h"

namespace csreft {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// JSON has no number for a loss that is not finite.
std::vector<double> losses_of(const json& summary, const fs::path& folder, const std::string& where) {
  std::vector<double> losses;
  if (fs::exists(folder / "metrics.jsonl")) {
    for (const auto& step : read_metrics(folder / "metrics.jsonl")) losses.push_back(step.cross_entropy);
    return losses;
  }
  const char* const key = summary.contains("train_cross_entropy") ? "train_cross_entropy" : "train_loss";
  if (!summary.contains(key)) return losses;
  require(summary[key].is_array(), "{}: `{}` is {}: expected a list", where, key, summary[key].type_name());
  for (const json& loss : summary[key]) {
    losses.push_back(loss.is_number() ? loss.get<double>() : std::numeric_limits<double>::quiet_NaN());
  }
  return losses;
}

// Whether as many answers are there as the score says, and as good.
bool are_answers_to(const TaskScore& score, const std::vector<Answer>& answers) {
  constexpr double rounding = 1e-6;
  double n = 0.0, sum = 0.0;
  for (const auto& answer : answers) {
    if (answer.task != score.task || answer.metric != score.metric) continue;
    ++n;
    sum += answer.score();
  }
  return n == static_cast<double>(score.n) && std::abs(score.value * n - sum) <= rounding * n;
}

std::vector<Answer> answers_in(const fs::path& folder, const std::vector<TaskScore>& scores) {
  auto answers = read_answers(folder);
  const bool are_these = std::ranges::all_of(
      scores, [&](const TaskScore& score) { return !has_outputs(score.metric) || are_answers_to(score, answers); });
  return are_these ? answers : std::vector<Answer>();
}

}  // namespace

RunRecord read_run(const fs::path& folder) {
  require(holds_run(folder), "{} is not the folder of a run: expected one that ./run runs lists", folder.string());
  const fs::path file = folder / "summary.json";
  require(fs::exists(file), "{} has no summary.json: expected a run that has come to its end, or was interrupted",
          folder.string());
  const json summary = read_json_object(file);
  const std::string where = file.string();
  const auto number = [&](const char* key) { return find_json<double>(summary, key, where).value_or(0.0); };
  RunRecord run{.name = {}, .method = find_json<std::string>(summary, "method", where).value_or("")};
  run.trainable_parameters = find_json<std::int64_t>(summary, "trainable_parameters", where);
  run.percent = number("trainable_percent");
  run.percent_without_router = number("trainable_percent_without_router");
  run.tokens_per_second = number("tokens_per_second");
  run.seconds = number("training_seconds");
  run.peak_memory_bytes = static_cast<std::size_t>(number("peak_memory_bytes"));
  if (summary.contains("tasks")) run.scores = parse_tasks(summary["tasks"], where);
  if (summary.contains("untrained")) run.untrained = parse_tasks(summary["untrained"], where);
  run.answers = answers_in(folder, run.scores);
  run.losses = losses_of(summary, folder, where);
  run.validation = read_validation(folder / "validation.jsonl", std::numeric_limits<std::size_t>::max());
  run.kept_step = find_json<std::int64_t>(summary, "kept_step", where).value_or(0);
  run.options = options_of(object_in(folder / "config.json"));
  run.is_finished = find_json<bool>(summary, "interrupted", where) != true;
  return run;
}

}  // namespace csreft
