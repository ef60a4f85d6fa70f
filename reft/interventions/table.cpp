#include "core/base/table.h"

#include <array>

#include "reft/interventions/intervention.h"

namespace csreft {

extern const Intervention loreft, noreft, consreft, lobireft, direft, nodireft, red;

namespace {

constexpr std::array table{&loreft, &noreft, &consreft, &lobireft, &direft, &nodireft, &red};

}  // namespace

std::span<const Intervention* const> interventions() { return table; }

const Intervention& find_intervention(std::string_view name) {
  return find_named(interventions(), "intervention", name);
}

}  // namespace csreft
