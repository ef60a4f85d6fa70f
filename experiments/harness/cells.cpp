#include "experiments/harness/cells.h"

#include <cmath>
#include <numeric>

#include "core/json_file.h"
#include "experiments/harness/progress.h"

namespace csreft {
namespace {

using nlohmann::json;

TaskScore read_score(const std::string& task, const json& value, const json& summary) {
  TaskScore score{.task = task, .metric = {}};
  for (const auto& [key, number] : value.items()) {
    if (key == "n") {
      score.n = number.get<std::int64_t>();
    } else {
      score.metric = key;
      score.value = number.get<double>();
    }
  }
  if (summary["gates"].contains(task)) score.mean_gates = summary["gates"][task].get<std::vector<double>>();
  return score;
}

Cell read_summary(const json& summary) {
  Cell cell{.variant = {},
            .seed = summary.at("seed").get<std::uint64_t>(),
            .trainable_parameters = summary.at("trainable_parameters").get<std::int64_t>(),
            .percent = summary.at("trainable_percent").get<double>(),
            .percent_without_router = summary.at("trainable_percent_without_router").get<double>(),
            .tokens_per_second = summary.at("tokens_per_second").get<double>(),
            .seconds = summary.at("training_seconds").get<double>(),
            .peak_memory_bytes = summary.at("peak_memory_bytes").get<std::size_t>(),
            .scores = {},
            .steps = {}};
  for (const auto& [task, value] : summary.at("tasks").items()) cell.scores.push_back(read_score(task, value, summary));
  if (summary.contains("router")) {
    const json& router = summary["router"];
    cell.router = {router.at("normalised_mutual_information").get<double>(), router.at("dead_share").get<double>(),
                   router.at("mean_overlap").get<double>()};
  }
  return cell;
}

}  // namespace

double Cell::mean_score() const {
  const double sum = std::accumulate(scores.begin(), scores.end(), 0.0,
                                     [](double total, const TaskScore& score) { return total + score.value; });
  return scores.empty() ? 0.0 : sum / static_cast<double>(scores.size());
}

std::optional<Cell> read_cell(const std::filesystem::path& folder, const std::string& variant) {
  const auto file = folder / "summary.json";
  if (!std::filesystem::exists(file)) return std::nullopt;
  const json summary = read_json_object(file);
  try {
    if (summary.at("interrupted").get<bool>()) return std::nullopt;
    Cell cell = read_summary(summary);
    cell.variant = variant;
    cell.steps = read_metrics(folder / "metrics.jsonl");
    return cell;
  } catch (const json::exception& error) {
    fail("{} is not the summary of a run: {}", file.string(), error.what());
  }
}

bool run_cell(const LanguageModel& model, const Variant& variant, std::span<const Task> train,
              std::span<const Task> test, const EvaluationOptions& evaluation, const std::filesystem::path& folder,
              Arguments arguments) {
  const bool resume = std::filesystem::exists(folder / "state.safetensors");
  const std::shared_ptr<Method> method = create_method(variant.method, model.llama.config(), variant.train.seed);
  Trainer trainer(model, *method, train, variant.train);
  for (const auto& task : test) check_task(model, method.get(), task, evaluation);
  if (!resume) write_config(folder, "ablate", arguments, method->options(), variant.train);
  MethodRun run = start_run(variant.name, method);
  train_and_score(run, trainer, model, test, evaluation, folder, resume);
  write_summary(folder, summary_json(model, run, variant.train));
  return !run.result.interrupted;
}

Spread spread_of(std::span<const double> values) {
  if (values.empty()) return {};
  const auto n = static_cast<double>(values.size());
  Spread spread{.mean = std::accumulate(values.begin(), values.end(), 0.0) / n};
  for (const double v : values) spread.deviation += (v - spread.mean) * (v - spread.mean);
  spread.deviation = values.size() > 1 ? std::sqrt(spread.deviation / (n - 1.0)) : 0.0;
  return spread;
}

std::string cells_tsv(std::span<const Cell> cells) {
  if (cells.empty()) return "";
  std::string text = "variant\tseed\ttrainable_parameters";
  for (const auto& score : cells.front().scores) text += fmt::format("\t{}", score.task);
  text += "\tmean\tnormalised_mutual_information\tdead_share\tmean_overlap\ttraining_seconds\n";
  for (const auto& cell : cells) {
    text += fmt::format("{}\t{}\t{}", cell.variant, cell.seed, cell.trainable_parameters);
    for (const auto& score : cell.scores) text += fmt::format("\t{:.4f}", score.value);
    text += fmt::format("\t{:.4f}", cell.mean_score());
    if (cell.router) {
      text += fmt::format("\t{:.4f}\t{:.4f}\t{:.4f}", cell.router->normalised_mutual_information,
                          cell.router->dead_share, cell.router->mean_overlap);
    } else {
      text += "\t\t\t";
    }
    text += fmt::format("\t{:.0f}\n", cell.seconds);
  }
  return text;
}

}  // namespace csreft
