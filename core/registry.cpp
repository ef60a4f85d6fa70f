// The backends that there are: another one is a folder beside core/cpu and a case here.
#include "core/base/error.h"
#include "core/cpu/backend.h"
#include "core/cuda/backend.h"
#include "core/device/device.h"

namespace csreft {

const Backend& backend_of(const Device& device) {
  switch (device.type) {
    case DeviceType::cpu: return cpu::backend();
    case DeviceType::cuda: return cuda::backend();
  }
  fail("no backend for {}: expected a device of type cpu or cuda", to_string(device));
}

}  // namespace csreft
