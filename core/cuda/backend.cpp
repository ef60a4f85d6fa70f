#include "core/cuda/backend.h"

#include "core/cuda/context.h"
#include "core/cuda/device.h"
#include "core/cuda/graph.h"
#include "core/cuda/memory.h"
#include "core/cuda/ops.h"
#include "core/cuda/packed_matrix.h"
#include "core/cuda/readback.h"

namespace csreft::cuda {

const Backend& backend() {
  static const Backend instance{
      .check_device = check_device,
      .device_name = device_name,
      .device_memory = [](int index) { return context(index).allocator.memory(); },
      .reset_peak_memory = [](int index) { context(index).allocator.reset_peak(); },
      .synchronize = synchronize,
      .allocate = allocate,
      .set_zero = set_zero,
      .copy_bytes = copy_bytes,
      .copy_to_host = copy_to_host,
      .record = record,
      .pack = pack,
#define PRIMITIVE(result, name, ...) .name = cuda::name,
#include "core/device/primitives.inc"
#undef PRIMITIVE
  };
  return instance;
}

}  // namespace csreft::cuda
