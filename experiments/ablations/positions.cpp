// Which tokens are edited.
#include <algorithm>

#include "experiments/ablations/ablation.h"

namespace csreft {
namespace {

std::vector<Variant> positions_variants(const AblationBase& base) {
  std::vector<Variant> variants;
  for (const char* positions : {"l1", "f1=l1", "f5=l5", "f5+l5", "all", "everywhere"}) {
    variants.push_back(csreft_variant(base, fmt::format("csreft_{}", positions), {{"positions", positions}}));
    variants.push_back(
        single_variant(base, fmt::format("single_{}", positions), total_rank(base), {{"positions", positions}}));
  }
  return variants;
}

}  // namespace

extern const Ablation positions_ablation;
const Ablation positions_ablation{
    .name = "positions",
    .summary =
        "which tokens are edited\n"
        "    csreft_P and single_P, one subspace of the rank of all, at --positions P: l1, f1=l1, f5=l5, f5+l5, all,\n"
        "    everywhere",
    .reason =
        "From the last token of the prompt to every token, generated ones too. f5+l5 has parameters of its own for the "
        "first and for the last tokens, twice as many as the others. One learning rate for all.",
    .variants = positions_variants,
    // One subspace at the same place.
    .reference =
        [](const std::string& variant) {
          return "single" + variant.substr(std::min(variant.find('_'), variant.size()));
        },
};

}  // namespace csreft
