#include "core/base/table.h"

#include <array>

#include "reft/router/router.h"

namespace csreft {

extern const RouterStart random_start, clusters_start;

namespace {

constexpr std::array table{&random_start, &clusters_start};

}  // namespace

std::span<const RouterStart* const> router_starts() { return table; }

const RouterStart& find_router_start(std::string_view name) {
  return find_named(router_starts(), "router start", name);
}

}  // namespace csreft
