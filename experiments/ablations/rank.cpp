// The rank of each subspace, beside one subspace of the rank of all.
#include <algorithm>

#include "experiments/ablations/ablation.h"

namespace csreft {
namespace {

std::vector<Variant> rank_variants(const AblationBase& base) {
  const auto subspaces = base.method.at("subspaces").get<std::int64_t>();
  std::vector<Variant> variants;
  for (const std::int64_t rank : {1, 2, 4, 8}) {
    if (rank * subspaces > base.model.config().hidden_size) continue;
    variants.push_back(csreft_variant(base, fmt::format("csreft_{}", rank), {{"rank", rank}}));
    variants.push_back(single_variant(base, fmt::format("single_{}", rank), rank * subspaces));
  }
  return variants;
}

}  // namespace

extern const Ablation rank_ablation;
const Ablation rank_ablation{
    .name = "rank",
    .summary =
        "how large subspaces are\n"
        "    csreft_R: --subspaces of rank R; single_R: one subspace of the rank of all of them",
    .reason =
        "Each subspace has rank 1, 2, 4 or 8. Beside each stands one subspace of the rank of all, with the same "
        "formula at the same places and no router: the edits have the same number of parameters, and only the gates "
        "differ. One learning rate for all.",
    .variants = rank_variants,
    // One subspace of their total rank.
    .reference =
        [](const std::string& variant) {
          return "single" + variant.substr(std::min(variant.find('_'), variant.size()));
        },
};

}  // namespace csreft
