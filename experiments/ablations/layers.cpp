// Which blocks are edited.
#include <algorithm>

#include "experiments/ablations/ablation.h"

namespace csreft {
namespace {

// n blocks, evenly spread between the first and the last, which are not among them.
std::string spread(std::int64_t n, std::int64_t n_layers) {
  std::string text;
  for (std::int64_t i = 1, last = -1; i <= n; ++i) {
    const std::int64_t layer = i * n_layers / (n + 1);
    if (layer == last) continue;
    text += fmt::format("{}{}", text.empty() ? "" : ",", layer);
    last = layer;
  }
  return text;
}

std::vector<Variant> layers_variants(const AblationBase& base) {
  const std::int64_t n = base.model.config().n_layers;
  std::vector<Variant> variants;
  const auto add = [&](const std::string& name, const std::string& layers) {
    variants.push_back(csreft_variant(base, "csreft_" + name, {{"layers", layers}}));
    variants.push_back(single_variant(base, "single_" + name, total_rank(base), {{"layers", layers}}));
  };
  add("early", fmt::format("{}", n / 5));
  add("middle", fmt::format("{}", n / 2));
  add("late", fmt::format("{}", 4 * n / 5));
  for (const std::int64_t count : {2, 4, 8}) {
    if (count < n) add(fmt::format("{}", count), spread(count, n));
  }
  add("all", "all");
  return variants;
}

}  // namespace

extern const Ablation layers_ablation;
const Ablation layers_ablation{
    .name = "layers",
    .summary =
        "which blocks are edited\n"
        "    csreft_WHERE and single_WHERE, one subspace of the rank of all; WHERE is early, middle or late (one\n"
        "    block), 2, 4, 8 (spread) or all",
    .reason =
        "One block is edited, at a fifth, a half or four fifths of the depth, or 2, 4, 8 or all, evenly spread. The "
        "number of parameters grows with the blocks. The router reads the state below the first edit: with early "
        "blocks it knows less of the prompt. One learning rate for all.",
    .variants = layers_variants,
    // One subspace at the same place.
    .reference =
        [](const std::string& variant) {
          return "single" + variant.substr(std::min(variant.find('_'), variant.size()));
        },
};

}  // namespace csreft
