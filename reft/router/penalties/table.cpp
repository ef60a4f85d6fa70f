#include "core/base/table.h"

#include <array>

#include "reft/router/router.h"

namespace csreft {

extern const Penalty none_penalty, l1_penalty, entropy_penalty, mi_penalty;

namespace {

constexpr std::array table{&none_penalty, &l1_penalty, &entropy_penalty, &mi_penalty};

}  // namespace

std::span<const Penalty* const> penalties() { return table; }

const Penalty& find_penalty(std::string_view name) { return find_named(penalties(), "penalty", name); }

}  // namespace csreft
