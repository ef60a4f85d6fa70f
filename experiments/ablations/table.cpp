#include "core/base/table.h"

#include <array>

#include "experiments/ablations/ablation.h"

namespace csreft {

extern const Ablation router_ablation;

namespace {

constexpr std::array table{&router_ablation};

}  // namespace

std::span<const Ablation* const> ablations() { return table; }

const Ablation& find_ablation(std::string_view name) { return find_named(ablations(), "ablation", name); }

}  // namespace csreft
