// For the emulation's tests: an array on the device, and the calls with their errors turned into failures.
#pragma once

#include <cstddef>
#include <vector>

#include <cuda_runtime.h>
#include <doctest/doctest.h>

#include "control.h"

namespace csreft::emulation {

template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t n) : n_(n) { REQUIRE(cudaMalloc(&data_, n * sizeof(T)) == cudaSuccess); }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    REQUIRE(cudaMemcpy(data_, values.data(), n_ * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess);
  }
  ~DeviceArray() {
    forget_error();
    cudaFree(data_);
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  std::vector<T> values() const {
    std::vector<T> out(n_);
    REQUIRE(cudaMemcpy(out.data(), data_, n_ * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess);
    return out;
  }

 private:
  T* data_ = nullptr;
  std::size_t n_;
};

// Runs what is queued, and returns the report of the rule that was broken, or nothing; the device works again then.
inline std::string run_and_report() {
  cudaDeviceSynchronize();
  const std::string out = report();
  forget_error();
  return out;
}

}  // namespace csreft::emulation
