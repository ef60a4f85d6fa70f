#include "experiments/ablations/cells.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <tuple>

#include "core/base/json_file.h"
#include "experiments/cli/progress.h"
#include "experiments/training/run_folder.h"
#include "experiments/training/scores.h"

namespace csreft {
namespace {

using nlohmann::json;

Cell read_summary(const json& summary, const std::string& where) {
  Cell cell{.variant = {},
            .seed = summary.at("seed").get<std::uint64_t>(),
            .trainable_parameters = summary.at("trainable_parameters").get<std::int64_t>(),
            .percent = summary.at("trainable_percent").get<double>(),
            .percent_without_router = summary.at("trainable_percent_without_router").get<double>(),
            .tokens_per_second = summary.at("tokens_per_second").get<double>(),
            .seconds = summary.at("training_seconds").get<double>(),
            .peak_memory_bytes = summary.at("peak_memory_bytes").get<std::size_t>(),
            .scores = parse_tasks(summary.at("tasks"), where),
            .steps = {}};
  const json& gates = summary.at("gates");
  for (auto& score : cell.scores) {
    if (gates.contains(score.task)) score.mean_gates = gates.at(score.task).get<std::vector<double>>();
  }
  if (summary.contains("router")) {
    const json& router = summary["router"];
    cell.router = {router.at("normalised_mutual_information").get<double>(), router.at("dead_share").get<double>(),
                   router.at("mean_overlap").get<double>()};
  }
  if (summary.contains("orthonormality_error")) {
    cell.orthonormality_error = summary["orthonormality_error"].get<double>();
  }
  return cell;
}

void check_options(const RunConfig& was, const Variant& is, const std::filesystem::path& folder) {
  json there = to_json(was.method), here = to_json(is.method);
  there.update(to_json(was.train));
  here.update(to_json(is.train));
  const std::string difference = first_difference(there, here);
  require(difference.empty(), "{} is a run with other options than {} now has ({}): expected another --out",
          folder.string(), is.name, difference);
}

// Nothing if the run has not come to its end.
std::optional<Cell> read_finished(const std::filesystem::path& folder, const std::string& variant) {
  const auto file = folder / "summary.json";
  if (!std::filesystem::exists(file)) return std::nullopt;
  const json summary = read_json_object(file);
  try {
    if (summary.at("interrupted").get<bool>()) return std::nullopt;
    Cell cell = read_summary(summary, file.string());
    cell.variant = variant;
    cell.steps = read_metrics(folder / "metrics.jsonl");
    return cell;
  } catch (const json::exception& error) {
    fail("{} is not the summary of a run: {}", file.string(), error.what());
  }
}

}  // namespace

std::vector<std::string> metrics_of(const Cell& cell) {
  std::vector<std::string> metrics;
  for (const auto& score : cell.scores) {
    if (std::ranges::find(metrics, score.metric) == metrics.end()) metrics.push_back(score.metric);
  }
  return metrics;
}

std::optional<double> mean_gate(const Cell& cell) {
  double sum = 0.0, prompts = 0.0;
  for (const auto& score : cell.scores) {
    if (score.mean_gates.empty()) continue;
    const auto n = static_cast<double>(score.n);
    for (const double gate : score.mean_gates) sum += n * gate / static_cast<double>(score.mean_gates.size());
    prompts += n;
  }
  return prompts > 0.0 ? std::optional(sum / prompts) : std::nullopt;
}

std::optional<Cell> read_cell(const std::filesystem::path& folder, const Variant& variant) {
  if (!std::filesystem::exists(folder / "config.json")) return std::nullopt;
  check_options(read_config(folder, "ablate"), variant, folder);
  return read_finished(folder, variant.name);
}

std::filesystem::path cell_folder(const std::filesystem::path& folder, const Variant& variant) {
  return folder / fmt::format("{}-{}", variant.name, variant.train.seed);
}

std::vector<Cell> read_cells(const std::filesystem::path& folder, std::span<const Variant> variants) {
  std::vector<Cell> cells;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const std::size_t dash = name.rfind('-');
    if (dash == std::string::npos || !std::filesystem::exists(entry.path() / "config.json")) continue;
    read_config(entry.path(), "ablate");
    if (auto cell = read_finished(entry.path(), name.substr(0, dash))) cells.push_back(std::move(*cell));
  }
  const auto place = [&](const Cell& cell) {
    return std::tuple(cell.seed, std::ranges::find(variants, cell.variant, &Variant::name) - variants.begin(),
                      cell.variant);
  };
  std::ranges::sort(cells, {}, place);
  return cells;
}

void check_variant(const LanguageModel& model, Variant& variant, std::span<const Task> train,
                   std::span<const Task> test, const EvaluationOptions& evaluation) {
  const auto method = create_method(variant.method, model.llama, variant.train.seed);
  variant.method = method->options();
  const Trainer trainer(model, *method, train, variant.train);
  for (const auto& task : test) check_task(model, method.get(), task, evaluation);
}

void run_cell(const LanguageModel& model, const Variant& variant, std::span<const Task> train,
              std::span<const Task> test, const EvaluationOptions& evaluation, const std::filesystem::path& where,
              Arguments arguments, const DataFiles& files) {
  const bool resume = holds_run(where) && std::filesystem::exists(where / "state.safetensors");
  RunFolder folder = resume ? RunFolder::reopen(where) : RunFolder::take(where, Replace::unfinished);
  const std::shared_ptr<Method> method = create_method(variant.method, model.llama, variant.train.seed);
  Trainer trainer(model, *method, train, variant.train);
  if (!resume) folder.begin(config_text("ablate", arguments, variant.method, variant.train, model, files));
  MethodRun run = start_run(variant.name, method);
  train_and_score(run, trainer, model, test, evaluation, folder.path(), resume);
  write_summary(folder.path(), summary_json(model, run, variant.train));
}

Spread spread_of(std::span<const double> values) {
  if (values.empty()) return {};
  const auto n = static_cast<double>(values.size());
  Spread spread{.mean = std::accumulate(values.begin(), values.end(), 0.0) / n, .n = values.size()};
  for (const double v : values) spread.deviation += (v - spread.mean) * (v - spread.mean);
  spread.deviation = values.size() > 1 ? std::sqrt(spread.deviation / (n - 1.0)) : 0.0;
  return spread;
}

std::vector<std::string> variants_of(std::span<const Cell> cells) {
  std::vector<std::string> variants;
  for (const auto& cell : cells) {
    if (std::ranges::find(variants, cell.variant) == variants.end()) variants.push_back(cell.variant);
  }
  return variants;
}

std::vector<Cell> cells_of(std::span<const Cell> cells, std::string_view variant) {
  std::vector<Cell> some;
  std::ranges::copy_if(cells, std::back_inserter(some), [&](const Cell& cell) { return cell.variant == variant; });
  return some;
}

std::optional<RouterMeasures> mean_router(std::span<const Cell> cells) {
  if (!cells.front().router) return std::nullopt;
  const auto mean = [&](double RouterMeasures::*measure) {
    return spread(cells, [measure](const Cell& cell) { return (*cell.router).*measure; }).mean;
  };
  return RouterMeasures{mean(&RouterMeasures::normalised_mutual_information), mean(&RouterMeasures::dead_share),
                        mean(&RouterMeasures::mean_overlap)};
}

std::string cells_tsv(std::span<const Cell> cells) {
  if (cells.empty()) return "";
  const auto metrics = metrics_of(cells.front());
  std::string text = "variant\tseed\ttrainable_parameters";
  for (const auto& score : cells.front().scores) text += fmt::format("\t{}", score.task);
  for (const auto& metric : metrics) text += fmt::format("\tmean_{}", metric);
  text +=
      "\tnormalised_mutual_information\tdead_share\tmean_overlap\ttraining_seconds\ttokens_per_second\tmean_gate"
      "\torthonormality_error\n";
  for (const auto& cell : cells) {
    text += fmt::format("{}\t{}\t{}", cell.variant, cell.seed, cell.trainable_parameters);
    for (const auto& score : cell.scores) text += fmt::format("\t{:.4f}", score.value);
    for (const auto& metric : metrics) text += fmt::format("\t{:.4f}", mean_score(cell.scores, metric));
    if (cell.router) {
      text += fmt::format("\t{:.4f}\t{:.4f}\t{:.4f}", cell.router->normalised_mutual_information,
                          cell.router->dead_share, cell.router->mean_overlap);
    } else {
      text += "\t\t\t";
    }
    const auto gate = mean_gate(cell);
    text += fmt::format("\t{:.0f}\t{:.0f}\t{}\t{}\n", cell.seconds, cell.tokens_per_second,
                        gate ? fmt::format("{:.4f}", *gate) : "",
                        cell.orthonormality_error ? fmt::format("{:.1e}", *cell.orthonormality_error) : "");
  }
  return text;
}

std::string summary_tsv(std::span<const Cell> cells) {
  std::string text = "variant\tscore\tmean\tdeviation\tseeds\n";
  for (const auto& variant : variants_of(cells)) {
    const std::vector<Cell> some = cells_of(cells, variant);
    const auto line = [&](const std::string& score, const Spread& s) {
      text += fmt::format("{}\t{}\t{:.4f}\t{:.4f}\t{}\n", variant, score, s.mean, s.deviation, s.n);
    };
    for (std::size_t t = 0; t < some.front().scores.size(); ++t) {
      line(some.front().scores[t].task, spread(some, [t](const Cell& c) { return c.scores[t].value; }));
    }
    for (const auto& metric : metrics_of(some.front())) {
      line("mean_" + metric, spread(some, [&](const Cell& c) { return mean_score(c.scores, metric); }));
    }
  }
  return text;
}

}  // namespace csreft
