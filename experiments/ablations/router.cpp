// What decides which subspaces a prompt is edited in: the task's label, a router that specialises, the paper's router,
// nothing, or the first token; beside one subspace of the same size and LoRA of no smaller size. Nothing else differs:
// every edit has LoReFT's formula (arXiv 2404.03592, eq. 2), and starts as the identity.
#include "experiments/ablations/ablation.h"
#include "reft/presets.h"

namespace csreft {
namespace {

Variant with_preset(const AblationBase& base, std::string name, std::string_view preset) {
  Variant variant{
      .name = std::move(name), .method = with_preset(find_preset(preset), base.method), .train = base.train};
  variant.method["edit"] = "loreft";
  return variant;
}

// A gate that asks no router.
Variant with_gate(const AblationBase& base, std::string name, const std::string& gate) {
  Variant variant = with_preset(base, std::move(name), "paper");
  variant.method["gate"] = gate;
  for (const auto& unknown : read_options(variant.method).unknown) variant.method.values.erase(unknown);
  return variant;
}

Variant manual(const AblationBase& base) {
  Variant variant = with_gate(base, "manual", "onehot");
  variant.method["tasks"] = task_stems(base.tasks);
  return variant;
}

Variant first_token(const AblationBase& base) {
  Variant variant = with_preset(base, "first_token", "paper");
  variant.method["router_input"] = "first_token";
  return variant;
}

// One subspace of as many dimensions.
Variant loreft(const AblationBase& base) {
  Variant variant{.name = "loreft", .method = {"loreft", base.method.values}, .train = base.train};
  variant.method["edit_start"] = "identity";
  variant.method["rank"] = base.method.at("rank").get<std::int64_t>() * base.method.at("subspaces").get<std::int64_t>();
  for (const auto& unknown : read_options(variant.method).unknown) variant.method.values.erase(unknown);
  return variant;
}

// LoRA of q and v in every layer, of the smallest rank with which it trains at least as many numbers as `other`.
Variant lora(const AblationBase& base, const Variant& other) {
  const auto size = [&](const MethodOptions& options) {
    return count_parameters(*create_method(options, base.model, /*seed=*/0)).total;
  };
  Variant variant{.name = "lora", .method = {"lora", {{"layers", "all"}, {"rank", 1}}}, .train = base.train};
  const std::int64_t of_rank_1 = size(variant.method);
  const std::int64_t rank = (size(other.method) + of_rank_1 - 1) / of_rank_1;
  variant.method["rank"] = rank;
  // PEFT's usual scale, alpha = 2 r.
  variant.method["lora_alpha"] = 2.0 * static_cast<double>(rank);
  return variant;
}

std::vector<Variant> router_variants(const AblationBase& base) {
  const Variant learned = with_preset(base, "learned", "specialised");
  return {manual(base),
          learned,
          with_preset(base, "sigmoid", "paper"),
          with_gate(base, "ones", "ones"),
          first_token(base),
          loreft(base),
          lora(base, learned)};
}

}  // namespace

extern const Ablation router_ablation;
const Ablation router_ablation{
    .name = "router",
    .summary =
        "who decides a prompt's subspaces\n"
        "    manual: the task's label; learned: the router of preset specialised; sigmoid: that of preset paper;\n"
        "    ones: nobody; first_token: as in the paper's code; loreft: one subspace of rank r k; lora: of no fewer\n"
        "    parameters",
    .variants = router_variants,
};

}  // namespace csreft
