#include "core/device/backend.h"

#include "core/device/device.h"

namespace csreft {

void copy_bytes(void* to, const Device& to_device, const void* from, const Device& from_device, std::size_t bytes) {
  const bool from_host = from_device.type == DeviceType::cpu;
  backend_of(from_host ? to_device : from_device).copy_bytes(to, to_device, from, from_device, bytes);
}

}  // namespace csreft
