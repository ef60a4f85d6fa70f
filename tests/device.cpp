#include "tests/device.h"

#include "core/base/error.h"

namespace {

csreft::Device& chosen() {
  static csreft::Device device;
  return device;
}

}  // namespace

std::string_view cuda_backend() { return CSREFT_CUDA; }

const csreft::Device& test_device() { return chosen(); }

void set_test_device(const std::string& text) {
  const bool emulated = text == "emulated";
  csreft::require(!emulated || cuda_backend() == "emulated",
                  "this build has no emulated device: expected one made with {}", "-Dcuda=emulated");
  csreft::require(emulated || cuda_backend() != "emulated" || !text.starts_with("cuda"),
                  "this build emulates CUDA: expected --device emulated or cpu");
  chosen() = csreft::parse_device(emulated ? "cuda" : text);
}

csreft::Tensor on_test_device(const csreft::Tensor& tensor) { return tensor.to(test_device()); }
