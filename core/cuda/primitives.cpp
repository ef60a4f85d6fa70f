// The table of the primitives on CUDA devices.
#include "core/cuda/primitives.h"

#include "core/cuda/ops.h"

namespace csreft::cuda {

const Primitives& primitives() {
  static const Primitives table{
#define PRIMITIVE(result, name, ...) .name = cuda::name,
#include "core/device/primitives.inc"
#undef PRIMITIVE
  };
  return table;
}

}  // namespace csreft::cuda
