// What keeps R orthonormal, and whether the subspaces are orthogonal to each other.
#include "experiments/ablations/ablation.h"
#include "experiments/training/config.h"

namespace csreft {
namespace {

// With an option of the optimizer.
Variant moved_by(const AblationBase& base, std::string name, const nlohmann::json& optimizer, bool joint = false) {
  Variant variant = csreft_variant(base, std::move(name), {{"joint", joint}});
  nlohmann::json train = to_json(variant.train);
  train.update(optimizer);
  variant.train = parse_train_options(train, variant.name);
  return variant;
}

std::vector<Variant> orthonormality_variants(const AblationBase& base) {
  std::vector<Variant> variants;
  for (const bool joint : {false, true}) {
    for (const char* retraction : {"qr", "polar", "cayley"}) {
      variants.push_back(
          moved_by(base, fmt::format("{}{}", retraction, joint ? "_joint" : ""), {{"retraction", retraction}}, joint));
    }
  }
  variants.push_back(moved_by(base, "landing", {{"optimizer", "landing"}}));
  for (const int every : {1, 10, 100}) {
    variants.push_back(moved_by(base, fmt::format("adamw_qr_{}", every),
                                {{"optimizer", "adamw+qr"}, {"orthonormalise_every", every}}));
  }
  variants.push_back(moved_by(base, "adamw", {{"optimizer", "adamw"}}));
  return variants;
}

}  // namespace

extern const Ablation orthonormality_ablation;
const Ablation orthonormality_ablation{
    .name = "orthonormality",
    .summary =
        "what keeps R orthonormal\n"
        "    qr, polar, cayley: Riemannian Adam with that retraction, _joint: with R_i R_j^T = 0; landing; "
        "adamw_qr_N:\n"
        "    AdamW, orthonormal again every N steps; adamw: free",
    .reason =
        "R moves by Riemannian Adam with one of three retractions, each subspace by itself or all kept orthogonal to "
        "each other (joint), near the manifold (landing), or freely by AdamW, made orthonormal again after every 1, 10 "
        "or 100 steps, or never. drift is the largest element of |R R^T - I| at the end, overlap what subspaces have "
        "in "
        "common.",
    .variants = orthonormality_variants,
};

}  // namespace csreft
