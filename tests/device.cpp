#include "tests/device.h"

#include <string_view>

#include "core/base/error.h"

namespace {

// How this build has the CUDA backend: enabled, emulated or disabled.
constexpr std::string_view built = CSREFT_CUDA;

csreft::Device& chosen() {
  static csreft::Device device;
  return device;
}

}  // namespace

const csreft::Device& test_device() { return chosen(); }

void set_test_device(const std::string& text) {
  const bool emulated = text == "emulated";
  csreft::require(!emulated || built == "emulated", "this build has no emulated device: expected one made with {}",
                  "-Dcuda=emulated");
  csreft::require(emulated || built != "emulated" || !text.starts_with("cuda"),
                  "this build emulates CUDA: expected --device emulated or cpu");
  chosen() = csreft::parse_device(emulated ? "cuda" : text);
}

csreft::Tensor on_test_device(const csreft::Tensor& tensor) { return tensor.to(test_device()); }
