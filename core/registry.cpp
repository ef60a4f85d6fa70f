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

void copy_bytes(void* to, const Device& to_device, const void* from, const Device& from_device, std::size_t bytes) {
  const bool from_host = from_device.type == DeviceType::cpu;
  backend_of(from_host ? to_device : from_device).copy_bytes(to, to_device, from, from_device, bytes);
}

}  // namespace csreft
