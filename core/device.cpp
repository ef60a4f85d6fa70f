#include "core/device.h"

#include "core/error.h"

namespace csreft {

Device parse_device(const std::string& text) {
  if (text == "cpu") return {};
  require(!text.starts_with("cuda"), "device {} is not available: this build has no CUDA backend, expected cpu", text);
  fail("unknown device '{}': expected cpu", text);
}

std::string to_string(const Device& device) {
  return device.type == DeviceType::cpu ? "cpu" : fmt::format("cuda:{}", device.index);
}

}  // namespace csreft
