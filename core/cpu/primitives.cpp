// The CPU's table of primitives.
#include "core/cpu/primitives.h"

#include "core/cpu/ops.h"

namespace csreft::cpu {

const Primitives& primitives() {
  static const Primitives table{
#define PRIMITIVE(result, name, ...) .name = cpu::name,
#include "core/device/primitives.inc"
#undef PRIMITIVE
  };
  return table;
}

}  // namespace csreft::cpu
