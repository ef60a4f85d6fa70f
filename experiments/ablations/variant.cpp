#include "experiments/ablations/variant.h"

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

Variant lora_variant(const AblationBase& base, std::string name, const Variant& other) {
  const auto size = [&](const MethodOptions& options) {
    return count_parameters(*create_method(options, base.model, /*seed=*/0)).total;
  };
  Variant variant{.name = std::move(name), .method = {"lora", {{"layers", "all"}, {"rank", 1}}}, .train = base.train};
  const std::int64_t of_rank_1 = size(variant.method);
  const std::int64_t rank = (size(other.method) + of_rank_1 - 1) / of_rank_1;
  variant.method["rank"] = rank;
  variant.method["lora_alpha"] = 2.0 * static_cast<double>(rank);
  return variant;
}

std::int64_t total_rank(const AblationBase& base) {
  return base.method.at("rank").get<std::int64_t>() * base.method.at("subspaces").get<std::int64_t>();
}

}  // namespace csreft
