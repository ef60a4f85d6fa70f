#include "experiments/ablations/variant.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "reft/presets.h"

namespace csreft {

MethodOptions known_options(MethodOptions options) {
  for (const auto& unknown : read_options(options).unknown) options.values.erase(unknown);
  return options;
}

Variant csreft_variant(const AblationBase& base, std::string name, const nlohmann::json& changes,
                       std::string_view preset) {
  Variant variant{
      .name = std::move(name), .method = with_preset(find_preset(preset), base.method), .train = base.train};
  if (!changes.is_null()) variant.method.values.update(changes);
  variant.method = known_options(std::move(variant.method));
  return variant;
}

Variant single_variant(const AblationBase& base, std::string name, std::int64_t rank, const nlohmann::json& changes) {
  Variant variant{.name = std::move(name),
                  .method = {base.method.at("edit").get<std::string>(), base.method.values},
                  .train = base.train};
  variant.method["rank"] = rank;
  variant.method["edit_start"] = "identity";
  if (!changes.is_null()) variant.method.values.update(changes);
  variant.method = known_options(std::move(variant.method));
  return variant;
}

std::int64_t parameters_of(const AblationBase& base, const MethodOptions& options) {
  return count_parameters(*create_method(options, base.model, /*seed=*/0)).total;
}

MethodOptions nearest_options(const AblationBase& base, std::int64_t budget,
                              const std::function<MethodOptions(std::int64_t size)>& of_size) {
  MethodOptions best;
  std::int64_t smallest = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t size = 1; size <= base.model.config().hidden_size; ++size) {
    const MethodOptions options = of_size(size);
    const std::int64_t count = parameters_of(base, options), distance = std::abs(count - budget);
    if (distance < smallest) best = options;
    smallest = std::min(smallest, distance);
    if (count >= budget) break;
  }
  return best;
}

MethodOptions lora_options(std::int64_t rank) {
  return {"lora", {{"layers", "all"}, {"rank", rank}, {"lora_alpha", 2.0 * static_cast<double>(rank)}}};
}

Variant lora_variant(const AblationBase& base, std::string name, const Variant& other) {
  return {.name = std::move(name),
          .method = nearest_options(base, parameters_of(base, other.method), lora_options),
          .train = base.train};
}

Variant olora_variant(const AblationBase& base, std::string name, std::int64_t budget) {
  const std::int64_t all = base.model.config().n_layers;
  Variant variant{.name = std::move(name),
                  .method = {"olora", {{"layers", "all"}, {"rank", 1}, {"lora_alpha", 2.0}}},
                  .train = base.train};
  variant.method["tasks"] = task_stems(base.tasks);
  const double of_a_layer = static_cast<double>(parameters_of(base, variant.method)) / static_cast<double>(all);
  const auto n = std::clamp<std::int64_t>(std::llround(static_cast<double>(budget) / of_a_layer), 1, all);
  std::string layers;
  for (std::int64_t i = 0; i < n; ++i) layers += fmt::format("{}{}", i > 0 ? "," : "", (2 * i + 1) * all / (2 * n));
  variant.method["layers"] = layers;
  return variant;
}

Variant full_variant(const AblationBase& base, std::string name) {
  Variant variant{.name = std::move(name), .method = {"full", nlohmann::json::object()}, .train = base.train};
  variant.train.lr = find_preset("all-weights").train.at("lr").get<double>();
  return variant;
}

std::pair<std::string, std::string> split_varied_name(const std::string& name) {
  // The first word with a value begins what was put behind.
  const std::size_t equals = name.find('=');
  const std::size_t colon = equals == std::string::npos ? std::string::npos : name.rfind(':', equals);
  if (colon == std::string::npos) return {name, ""};
  return {name.substr(0, colon), name.substr(colon)};
}

std::int64_t total_rank(const AblationBase& base) {
  return base.method.at("rank").get<std::int64_t>() * base.method.at("subspaces").get<std::int64_t>();
}

}  // namespace csreft
