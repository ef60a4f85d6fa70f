#include "experiments/training/validation.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/base/atomic_file.h"
#include "core/base/json_file.h"
#include "core/base/whole_lines.h"

namespace csreft {

using nlohmann::json;

namespace {

constexpr const char* nll = "nll";

double count_response_tokens(const LanguageModel& model, const Task& task, const std::string& system) {
  double tokens = 0.0;
  for (std::size_t i = 0; i < task.examples.size(); ++i) {
    const EncodedExample e = encode_example(model, task, i, system, context_length(model.llama.config()));
    tokens += static_cast<double>(e.ids.size()) - static_cast<double>(e.prompt_length);
  }
  return tokens;
}

}  // namespace

json to_json(const ValidationRecord& record) {
  json line{{"step", record.step}, {"cross_entropy", record.cross_entropy}};
  if (record.score) line[record.metric] = *record.score;
  return line;
}

std::string validation_line(const ValidationRecord& record) { return to_json(record).dump() + "\n"; }

std::string validation_lines(const std::vector<ValidationRecord>& records) {
  std::string lines;
  for (const auto& record : records) lines += validation_line(record);
  return lines;
}

std::vector<ValidationRecord> read_validation(const std::filesystem::path& file, std::size_t most) {
  std::vector<ValidationRecord> records;
  if (!std::filesystem::exists(file)) return records;
  std::istringstream lines(read_whole_lines(file));
  for (std::string line; records.size() < most && std::getline(lines, line);) {
    const std::string where = fmt::format("{}, line {}", file.string(), records.size() + 1);
    const json values = parse_json_object(line, where);
    records.push_back(
        {get_json<std::int64_t>(values, "step", where), get_json<double>(values, "cross_entropy", where), {}});
    for (const ScoreMetric& metric : score_metrics()) {
      const auto score = find_json<double>(values, std::string(metric.name), where);
      if (score) records.back().score = score, records.back().metric = metric.name;
    }
  }
  return records;
}

std::string describe(const ValidationRecord& record) {
  return fmt::format("cross-entropy {:.4f}{}", record.cross_entropy,
                     record.score ? fmt::format(", {} {:.3f}", record.metric, *record.score) : "");
}

const ValidationRecord& best_of(const std::vector<ValidationRecord>& records) {
  return *std::ranges::min_element(records, {}, &ValidationRecord::cross_entropy);
}

Validation::Validation(const LanguageModel& model, std::vector<Task> tasks, EvaluationOptions options)
    : model_(model), tasks_(std::move(tasks)), options_(std::move(options)) {
  options_.quiet = true;  // the training's own progress goes on
  options_.max_examples = 0;
  double all = 0.0;
  for (const auto& task : tasks_) {
    if (has_outputs(metric_of(task, options_.metric))) answered_.push_back(task);
    n_tokens_.push_back(count_response_tokens(model_, task, options_.system));
    all += n_tokens_.back();
  }
  require(all > 0.0, "there is nothing to predict in the validation data: expected examples with responses");
}

std::optional<ValidationRecord> Validation::measure(const Method& method, std::int64_t step) const {
  const auto is_whole = [](const TaskScore& score, const Task& task) {
    return score.n == static_cast<std::int64_t>(task.examples.size());
  };
  EvaluationOptions by_nll = options_;
  by_nll.metric = nll;
  ValidationRecord record{.step = step, .cross_entropy = 0.0, .score = {}};
  double tokens = 0.0;
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    const TaskScore score = evaluate(model_, &method, tasks_[t], by_nll);
    if (!is_whole(score, tasks_[t])) return std::nullopt;
    record.cross_entropy += score.value * n_tokens_[t];
    tokens += n_tokens_[t];
  }
  record.cross_entropy /= tokens;
  if (!std::isfinite(record.cross_entropy)) return record;
  double sum = 0.0, examples = 0.0;
  for (const auto& task : answered_) {
    const TaskScore score = evaluate(model_, &method, task, options_);
    if (!is_whole(score, task)) return std::nullopt;
    sum += score.value * static_cast<double>(score.n);
    examples += static_cast<double>(score.n);
    record.metric = score.metric;
  }
  if (examples > 0.0) record.score = sum / examples;
  return record;
}

}  // namespace csreft
