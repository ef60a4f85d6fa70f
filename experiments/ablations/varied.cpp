#include "experiments/ablations/varied.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "core/base/split.h"
#include "experiments/ablations/tables.h"
#include "experiments/report/figure.h"
#include "experiments/report/page.h"

namespace csreft {
namespace {

using nlohmann::json;

// A value as JSON of the kind that the option has.
json value_of(const std::string& text, const json& present) {
  if (present.is_string() || present.is_array()) return text;
  const json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? json(text) : value;
}

// False, and nothing changed, if neither the variant's method nor its training has the option.
bool try_set(Variant& variant, const std::string& name, const std::string& text) {
  if (is_untrained(variant.method)) return false;
  if (name == "method") {
    variant.method.method = text;
    for (const auto& unknown : read_options(variant.method).unknown) variant.method.values.erase(unknown);
    return true;
  }
  const auto settings = configure(variant.method);
  const json of_method = options_json(*settings);
  if (of_method.contains(name)) {
    variant.method[name] = value_of(text, of_method[name]);
    static_cast<void>(configure(variant.method));  // checks the value
    return true;
  }
  json train = options_json(variant.train);
  if (!train.contains(name)) return false;
  set_options(variant.train, {{name, value_of(text, train[name])}});
  return true;
}

std::optional<double> number(const std::string& text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The value of an option in a variant's name, and the name without it: "csreft:rank=1:lr=0.004".
std::optional<std::pair<std::string, std::string>> split_name(const std::string& name, const std::string& option) {
  std::vector<std::string> rest;
  std::optional<std::string> value;
  for (const auto& word : split(name, ":")) {
    if (word.starts_with(option + "=")) {
      value = word.substr(option.size() + 1);
    } else {
      rest.emplace_back(word);
    }
  }
  if (!value) return std::nullopt;
  return std::pair(*value, fmt::format("{}", fmt::join(rest, ", ")));
}

std::string picture(std::span<const Cell> cells, const VariedOption& option) {
  const std::string metric = metrics_of(cells.front()).front();
  BarChart chart{.id = "varied-" + option.name,
                 .title = fmt::format("Mean {} over {}", metric, option.name),
                 .y_label = metric,
                 .groups = option.values,
                 .series = {},
                 .top = {},
                 .decimals = 3};
  std::map<std::string, std::map<std::string, std::vector<double>>> scores;  // rest -> value -> of each seed
  for (const auto& cell : cells) {
    const auto parts = split_name(cell.variant, option.name);
    if (parts) scores[parts->second][parts->first].push_back(mean_score(cell.scores, metric));
  }
  for (const auto& [rest, of_values] : scores) {
    BarChart::Series series{.name = rest, .values = {}, .errors = {}};
    for (const auto& value : option.values) {
      const auto found = of_values.find(value);
      const Spread mean = found == of_values.end() ? Spread{} : spread_of(found->second);
      series.values.push_back(mean.n > 0 ? std::optional(mean.mean) : std::nullopt);
      series.errors.push_back(mean.n > 1
                                  ? std::optional<Interval>({mean.mean - mean.deviation, mean.mean + mean.deviation})
                                  : std::nullopt);
    }
    chart.series.push_back(std::move(series));
  }
  return chart.series.empty() ? "" : figure(chart, "Means over seeds.");
}

}  // namespace

VariedOption VariedOption::parse(const std::string& text) {
  const std::size_t equals = text.find('=');
  require(equals != std::string::npos && equals > 0 && equals + 1 < text.size(),
          "--vary {} is not understood: expected an option and its values, as rank=1,2,4", text);
  VariedOption option{.name = text.substr(0, equals), .values = {}};
  std::ranges::replace(option.name, '-', '_');
  require(option.name != "seed", "--vary seed is not possible: expected --seeds, and --seed for the first");
  for (const auto& value : split(std::string_view(text).substr(equals + 1))) {
    const bool is_new = std::ranges::find(option.values, value) == option.values.end();
    require(is_new, "--vary {} has the value {} twice: expected each once", text, value);
    require(value.find('/') == std::string_view::npos, "--vary {}: a value with / cannot name a folder", text);
    option.values.emplace_back(value);
  }
  return option;
}

std::vector<Variant> varied(std::span<const Variant> variants, std::span<const VariedOption> options) {
  std::vector<Variant> all(variants.begin(), variants.end());
  for (const auto& option : options) {
    std::vector<Variant> next;
    bool is_known = false;
    for (const auto& variant : all) {
      for (const auto& value : option.values) {
        Variant with = variant;
        const bool has = try_set(with, option.name, value);
        is_known = is_known || has;
        if (has) with.name += fmt::format(":{}={}", option.name, value);
        next.push_back(std::move(with));
        if (!has) break;  // once, as it is
      }
    }
    require(is_known, "--vary {}: no variant has that option; expected one of its method or of the training",
            option.name);
    all = std::move(next);
  }
  return all;
}

std::string varied_section(std::span<const Cell> cells, std::span<const VariedOption> options) {
  std::string text;
  for (const auto& option : options) {
    const bool has_numbers = std::ranges::all_of(option.values, [](const auto& v) { return number(v).has_value(); });
    if (has_numbers && !cells.empty()) text += picture(cells, option);
  }
  return text;
}

}  // namespace csreft
