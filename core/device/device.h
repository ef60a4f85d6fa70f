// Where a tensor's memory lies.
#pragma once

#include <string>

namespace csreft {

enum class DeviceType { cpu, cuda };

struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;

  friend bool operator==(const Device&, const Device&) = default;
};

// "cpu", "cuda", "cuda:1". Throws Error for other text, and in one line that names what is missing (the
// build, the driver, the device) where work on the device is not possible.
Device parse_device(const std::string& text);

// "cpu", "cuda:0".
std::string to_string(const Device& device);

}  // namespace csreft
