#include "experiments/ablations/rates.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

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

// The variants that search for a rate: the first of each group.
std::vector<const Variant*> searching(std::span<const Variant> variants, const RateSearch& search) {
  std::vector<const Variant*> first;
  for (const auto& variant : variants) {
    const bool is_known = std::ranges::any_of(
        first, [&](const Variant* other) { return search.group_of(*other) == search.group_of(variant); });
    if (!is_untrained(variant.method) && !is_known) first.push_back(&variant);
  }
  return first;
}

// More is better.
double quality(const Cell& cell) {
  const auto metrics = metrics_of(cell);
  const bool has_accuracy = std::ranges::find(metrics, "accuracy") != metrics.end();
  return has_accuracy ? mean_score(cell.scores, "accuracy") : -mean_score(cell.scores, metrics.front());
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

std::vector<Variant> search_cells(std::span<const Variant> variants, const RateSearch& search, const Setting& setting) {
  std::vector<Variant> cells;
  for (const Variant* const first : searching(variants, search)) {
    const Variant& variant = *first;
    auto data = std::make_shared<TaskSet>();
    data->train = tasks_of(variant, setting).train;
    const ValidationFlags validation{.sources = {fmt::format("{}", search.share)}};
    data->test = validation.take(data->train, variant.train.seed);
    for (const double rate : search.rates) {
      cells.push_back(at_rate(variant, rate));
      cells.back().data = data;
      cells.back().tasks = {};  // the data are those tasks
    }
  }
  return cells;
}

std::string choose_rates(std::span<Variant> variants, const RateSearch& search, const Setting& setting) {
  std::string table = "variant\trate\tscore\tchosen\n";
  const auto cells = read_cells(setting.folder, {});
  const auto score_at = [&](const Variant& variant, double rate) {
    const std::string name = at_rate(variant, rate).name;
    const auto found = std::ranges::find_if(
        cells, [&](const Cell& cell) { return cell.variant == name && cell.seed == variant.train.seed; });
    require(found != cells.end(), "{} has no cell {}: expected the whole search", setting.folder.string(), name);
    return quality(*found);
  };
  std::map<std::string, double> chosen;
  for (const Variant* const variant : searching(variants, search)) {
    std::vector<double> scores;
    for (const double rate : search.rates) scores.push_back(score_at(*variant, rate));
    const auto best = static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin());
    const std::string group = search.group_of(*variant);
    chosen[group] = search.rates[best];
    for (std::size_t i = 0; i < scores.size(); ++i) {
      table +=
          fmt::format("{}\t{}\t{:.4f}\t{}\n", group, search.rates[i], std::abs(scores[i]), i == best ? "yes" : "no");
    }
  }
  for (auto& variant : variants) {
    if (!is_untrained(variant.method)) variant.train.lr = chosen.at(search.group_of(variant));
  }
  return table;
}

}  // namespace csreft
