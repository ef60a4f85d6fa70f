// What keeps R orthonormal, and whether the subspaces are orthogonal to each other.
#include "experiments/ablations/ablation.h"

namespace csreft {
namespace {

using nlohmann::json;

// The options of an optimizer that are not at their defaults.
json departures(const Chosen<OptimizerRule>& optimizer) {
  json options = options_json(*optimizer);
  const json defaults = options_json(*choose_optimizer(optimizer.name()));
  for (const auto& [name, value] : defaults.items()) {
    if (options.at(name) == value) options.erase(name);
  }
  return options;
}

// With an optimizer that has these options, and those that were given for the base's where it knows them: each
// optimizer's default is a rate of R of its own.
Variant moved_by(const AblationBase& base, std::string name, std::string_view optimizer, const json& options = {},
                 bool joint = false) {
  Variant variant = csreft_variant(base, std::move(name), {{"joint", joint}});
  auto& chosen = variant.train.optimizer;
  chosen.select(optimizer);
  const json known = options_json(*chosen);
  json wanted = json::object();
  const json given = departures(base.train.optimizer);
  for (const auto& [option, value] : given.items()) {
    if (known.contains(option)) wanted[option] = value;
  }
  if (!options.is_null()) wanted.update(options);
  set_options(*chosen, wanted);
  return variant;
}

std::vector<Variant> orthonormality_variants(const AblationBase& base) {
  std::vector<Variant> variants;
  for (const bool joint : {false, true}) {
    for (const char* retraction : {"qr", "polar", "cayley"}) {
      variants.push_back(moved_by(base, fmt::format("{}{}", retraction, joint ? "_joint" : ""), "riemannian_adam",
                                  {{"retraction", retraction}}, joint));
    }
  }
  variants.push_back(moved_by(base, "landing", "landing"));
  for (const int every : {1, 10, 100}) {
    variants.push_back(
        moved_by(base, fmt::format("adamw_qr_{}", every), "adamw+qr", {{"orthonormalise_every", every}}));
  }
  variants.push_back(moved_by(base, "adamw", "adamw"));
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
        "or 100 steps, or never. orthonormality_error is the largest element of |R R^T - I| at the end, mean_overlap "
        "what subspaces have in common, milliseconds_a_step the time of a step. Each optimizer has its own default "
        "rate of R, as a multiple of --lr, and all have one --lr.",
    .variants = orthonormality_variants,
    .reference = [](const std::string&) { return std::string("qr"); },
};

}  // namespace csreft
