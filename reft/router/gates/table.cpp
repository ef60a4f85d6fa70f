#include "core/base/table.h"

#include <array>

#include "reft/router/gates/entries.h"

namespace csreft {
namespace {

constexpr std::array table{&soft_gate, &softmax_gate, &top1_gate, &onehot_gate, &ones_gate};

}  // namespace

std::span<const Gate* const> gates() { return table; }

const Gate& find_gate(std::string_view name) { return find_named(gates(), "gate", name); }

}  // namespace csreft
