#include "core/device/device.h"

#include <string_view>

#include "core/base/error.h"
#include "core/base/whole_number.h"
#include "core/device/backend.h"

namespace csreft {

Device parse_device(const std::string& text) {
  if (text == "cpu") return {};
  constexpr std::string_view prefix = "cuda:";
  std::optional<int> index;
  if (text == "cuda") index = 0;
  if (text.starts_with(prefix)) index = parse_whole_number<int>(std::string_view(text).substr(prefix.size()));
  require(index && *index >= 0, "unknown device '{}': expected cpu, cuda or cuda:N", text);
  const Device device{DeviceType::cuda, *index};
  backend_of(device).check_device(device.index);
  return device;
}

std::string to_string(const Device& device) {
  return device.type == DeviceType::cpu ? "cpu" : fmt::format("cuda:{}", device.index);
}

}  // namespace csreft
