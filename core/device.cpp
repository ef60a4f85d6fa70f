#include "core/device.h"

#include <charconv>
#include <string_view>

#include "core/cuda/primitives.h"
#include "core/error.h"

namespace csreft {

Device parse_device(const std::string& text) {
  if (text == "cpu") return {};
  constexpr std::string_view name = "cuda";
  require(text.starts_with(name), "unknown device '{}': expected cpu, cuda or cuda:N", text);
  int index = 0;
  if (text.size() > name.size()) {
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + name.size() + 1, end, index);
    require(text[name.size()] == ':' && error == std::errc() && rest == end && index >= 0,
            "unknown device '{}': expected cpu, cuda or cuda:N", text);
  }
  cuda::check_device(index);
  return {DeviceType::cuda, index};
}

std::string to_string(const Device& device) {
  return device.type == DeviceType::cpu ? "cpu" : fmt::format("cuda:{}", device.index);
}

}  // namespace csreft
