#include "core/base/table.h"

#include <array>

#include "reft/router/starts/entries.h"

namespace csreft {
namespace {

constexpr std::array table{&random_start, &clusters_start};

}  // namespace

std::span<const RouterStart* const> router_starts() { return table; }

const RouterStart& find_router_start(std::string_view name) {
  return find_named(router_starts(), "router start", name);
}

}  // namespace csreft
