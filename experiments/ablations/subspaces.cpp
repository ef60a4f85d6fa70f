// How many subspaces one total rank is cut into, and how many of them are shared.
#include "experiments/ablations/ablation.h"

namespace csreft {
namespace {

std::vector<Variant> subspaces_variants(const AblationBase& base) {
  const std::int64_t total = total_rank(base);
  std::vector<Variant> variants{single_variant(base, "single", total)};
  for (std::int64_t k = 2; k <= total; k *= 2) {
    if (total % k != 0) continue;
    for (const std::int64_t shared : {0, 1, 2}) {
      // Gates that compete are two at least.
      if (k - shared < 2) continue;
      variants.push_back(csreft_variant(base, fmt::format("k{}_shared{}", k, shared),
                                        {{"subspaces", k}, {"rank", total / k}, {"shared", shared}}));
    }
  }
  return variants;
}

}  // namespace

extern const Ablation subspaces_ablation;
const Ablation subspaces_ablation{
    .name = "subspaces",
    .summary =
        "into how many subspaces a rank is cut\n"
        "    single: one, of the total rank N; kK_sharedS: K subspaces of rank N / K, S of them always open",
    .reason =
        "The total rank of all subspaces, --rank times --subspaces, stays the same, and so do the parameters of the "
        "edits. It is cut into more and smaller subspaces, of which none, one or two are always open, beside those "
        "that compete: what tasks have in common can then be learnt once. One learning rate for all.",
    .variants = subspaces_variants,
    .reference = [](const std::string&) { return std::string("single"); },
};

}  // namespace csreft
