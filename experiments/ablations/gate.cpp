// How the router's scores become gates, and what the gates are penalised for.
#include "experiments/ablations/ablation.h"

namespace csreft {
namespace {

// The same router reads the same states and starts the same; the penalty of gates that compete says nothing of gates
// that do not.
Variant independent(const AblationBase& base, std::string name, nlohmann::json changes) {
  if (!changes.contains("penalty")) changes.update({{"penalty", "none"}, {"lambda", 0.0}});
  return csreft_variant(base, std::move(name), changes);
}

std::vector<Variant> gate_variants(const AblationBase& base) {
  std::vector<Variant> variants;
  for (const char* gate : {"top1", "topk", "gumbel", "softmax"}) {
    variants.push_back(csreft_variant(base, gate, {{"gate", gate}}));
  }
  for (const double lambda : {0.0, 0.1, 1.0}) {
    variants.push_back(csreft_variant(base, fmt::format("top1_mi_{}", lambda),
                                      {{"penalty", lambda == 0.0 ? "none" : "mi"}, {"lambda", lambda}}));
  }
  variants.push_back(independent(base, "soft", {{"gate", "soft"}}));
  for (const double lambda : {0.01, 0.1}) {
    for (const char* penalty : {"l1", "entropy"}) {
      variants.push_back(independent(base, fmt::format("soft_{}_{}", penalty, lambda),
                                     {{"gate", "soft"}, {"penalty", penalty}, {"lambda", lambda}}));
    }
  }
  for (const double tau : {0.1, 0.3, 0.5, 0.7, 0.9}) {
    variants.push_back(independent(base, fmt::format("hard_{}", tau), {{"gate", "hard"}, {"tau", tau}}));
  }
  return variants;
}

}  // namespace

extern const Ablation gate_ablation;
const Ablation gate_ablation{
    .name = "gate",
    .summary =
        "how scores become gates, and their penalty\n"
        "    top1, topk, gumbel, softmax: gates that compete; top1_mi_L: with --lambda L; soft, hard_T: independent,\n"
        "    T the threshold; soft_P_L: with penalty P and --lambda L",
    .reason =
        "The router is the same: what it reads, its norm and its start. Its scores become gates that share a whole "
        "(top1, topk, gumbel, softmax) or gates that are independent (soft, and hard with a threshold), and their "
        "penalty and its weight vary. The mean gate beside the accuracy shows what sparsity costs. One learning rate "
        "for all.",
    .variants = gate_variants,
    .reference = [](const std::string&) { return std::string("top1"); },
};

}  // namespace csreft
