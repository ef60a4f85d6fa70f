// The device that numeric tests run on.
#pragma once

#include <string>
#include <string_view>

#include "core/tensor/tensor.h"

// How this build has the CUDA backend: "enabled", "emulated" or "disabled".
std::string_view cuda_backend();

// The CPU, or what the test programme's --device named.
const csreft::Device& test_device();

// "cpu"; "cuda", "cuda:1" in builds for CUDA devices; "emulated" in builds with the emulated device. Throws
// csreft::Error for other text and for a device that this build does not have.
void set_test_device(const std::string& text);

// The same elements on the test device.
csreft::Tensor on_test_device(const csreft::Tensor& tensor);
