#include "experiments/ablations/rates.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "core/base/split.h"
#include "experiments/training/run_flags.h"

namespace csreft {
namespace {

Variant at_rate(const Variant& variant, double rate) {
  Variant at = variant;
  at.name += fmt::format("@{}", rate);
  at.train.lr = rate;
  return at;
}

// The examples that are spare, if each of the variant's tasks has as many as the share would be.
std::optional<std::vector<Task>> spare_tasks(const Variant& variant, std::span<const Task> train,
                                             const RateSearch& search, const Setting& setting) {
  if (variant.data || setting.spare.empty()) return std::nullopt;
  std::vector<Task> spare;
  for (std::size_t t = 0; t < train.size(); ++t) {
    spare.push_back(setting.spare.at(variant.tasks.empty() ? t : variant.tasks[t]));
    auto& examples = spare.back().examples;
    const auto least = search.share * static_cast<double>(train[t].examples.size());
    if (static_cast<double>(examples.size()) < least || examples.empty()) return std::nullopt;
    examples.resize(std::min(examples.size(), search.most_spare));
  }
  return spare;
}

struct Quality {
  double score;
  std::optional<double> error;
  std::int64_t examples = 0;
};

Quality quality_of(const Cell& cell) {
  const std::string name = answered_metric(cell.scores);
  const ScoreMetric& metric = find_metric(name.empty() ? "nll" : name);
  const double mean = mean_score(cell.scores, metric.name);
  Quality quality{metric.more_is_better ? mean : -mean, {}};
  double variance = 0.0, tasks = 0.0;
  for (const auto& score : cell.scores) {
    quality.examples += score.n;
    if (score.metric != metric.name || score.n == 0) continue;
    variance += score.value * (1.0 - score.value) / static_cast<double>(score.n);
    ++tasks;
  }
  if (metric.is_share) quality.error = std::sqrt(variance) / tasks;
  return quality;
}

// Of scores that are equal but for rounding, the first.
std::size_t first_of_best(std::span<const double> scores) {
  constexpr double rounding = 1e-9;
  const double best = std::ranges::max(scores);
  return static_cast<std::size_t>(std::ranges::find_if(scores, [&](double s) { return s >= best - rounding; }) -
                                  scores.begin());
}

}  // namespace

std::vector<double> RateSearch::parse(const std::string& text) {
  std::vector<double> rates;
  if (text.empty()) return rates;
  for (const auto& word : split(text)) {
    double rate = 0.0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), rate);
    require(error == std::errc() && end == word.data() + word.size() && std::isfinite(rate) && rate > 0.0,
            "--rates {}: \"{}\" is no learning rate: expected numbers more than 0, separated by commas", text, word);
    require(std::ranges::find(rates, rate) == rates.end(), "--rates {} has {} twice: expected each once", text, rate);
    rates.push_back(rate);
  }
  std::ranges::sort(rates);
  return rates;
}

Setting search_setting(const Setting& setting) {
  Setting search = setting;
  search.folder = setting.folder / "rates";
  search.elsewhere.reset();
  return search;
}

std::vector<Variant> searching_variants(std::span<const Variant> chosen, std::span<const Variant> all,
                                        const RateSearch& search) {
  std::vector<Variant> searching;
  std::set<std::string> groups;
  for (const auto& variant : chosen) {
    if (is_untrained(variant.method) || !groups.insert(search.group_of(variant)).second) continue;
    const auto first =
        std::ranges::find(all, search.group_of(variant), [&](const Variant& v) { return search.group_of(v); });
    searching.push_back(first != all.end() ? *first : variant);
  }
  return searching;
}

std::vector<Variant> search_cells(std::span<const Variant> searching, const RateSearch& search,
                                  const Setting& setting) {
  std::vector<Variant> cells;
  for (const auto& variant : searching) {
    auto data = std::make_shared<TaskSet>();
    data->train = tasks_of(variant, setting).train;
    if (auto spare = spare_tasks(variant, data->train, search, setting)) {
      data->test = *std::move(spare);
    } else {
      const ValidationFlags validation{.sources = {fmt::format("{}", search.share)}};
      data->test = validation.take(data->train, variant.train.seed);
    }
    for (auto& task : data->test) {
      skip_unusable(setting.model, task, setting.evaluation);
      check_task(setting.model, nullptr, task, setting.evaluation);
    }
    for (const double rate : search.rates) {
      cells.push_back(at_rate(variant, rate));
      cells.back().data = data;
      cells.back().tasks = {};  // the data are those tasks
    }
  }
  return cells;
}

std::vector<RateScores> read_rate_scores(std::span<const Variant> searching, const RateSearch& search,
                                         const Setting& setting) {
  const auto cells = read_cells(setting.folder, {});
  std::vector<RateScores> all;
  for (const auto& variant : searching) {
    RateScores of{.group = search.group_of(variant), .scores = {}, .errors = {}};
    for (const double rate : search.rates) {
      const std::string name = at_rate(variant, rate).name;
      const auto found = std::ranges::find_if(
          cells, [&](const Cell& cell) { return cell.variant == name && cell.seed == variant.train.seed; });
      require(found != cells.end(), "{} has no cell {}: expected the whole search", setting.folder.string(), name);
      const Quality quality = quality_of(*found);
      of.scores.push_back(quality.score);
      if (quality.error) of.errors.push_back(*quality.error);
      of.examples = quality.examples;
    }
    of.best = first_of_best(of.scores);
    all.push_back(std::move(of));
  }
  return all;
}

void apply_rates(std::span<Variant> variants, std::span<const RateScores> scores, const RateSearch& search) {
  for (auto& variant : variants) {
    if (is_untrained(variant.method)) continue;
    const auto found = std::ranges::find(scores, search.group_of(variant), &RateScores::group);
    require(found != scores.end(), "no rate was searched for {}", variant.name);
    variant.train.lr = search.rates[found->best];
  }
}

std::string rates_table(std::span<const RateScores> scores, const RateSearch& search) {
  std::string table = "variant\trate\tscore\terror\texamples\tchosen\n";
  for (const auto& of : scores) {
    for (std::size_t i = 0; i < of.scores.size(); ++i) {
      table += fmt::format("{}\t{}\t{:.4f}\t{}\t{}\t{}\n", of.group, search.rates[i], std::abs(of.scores[i]),
                           of.errors.empty() ? "" : fmt::format("{:.4f}", of.errors[i]), of.examples,
                           i == of.best ? "yes" : "no");
    }
  }
  return table;
}

}  // namespace csreft
