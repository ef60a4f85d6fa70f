#include "core/base/table.h"

#include <array>

#include "reft/router/router.h"

namespace csreft {

extern const RouterInput prompt_mean_input, first_token_input, last_token_input, hidden_input;

namespace {

constexpr std::array table{&prompt_mean_input, &first_token_input, &last_token_input, &hidden_input};

}  // namespace

std::span<const RouterInput* const> router_inputs() { return table; }

const RouterInput& find_router_input(std::string_view name) {
  return find_named(router_inputs(), "router input", name);
}

}  // namespace csreft
