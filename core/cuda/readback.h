// A small array of a device on its way to the host.
#pragma once

#include <cstddef>
#include <memory>

#include "core/cuda/runtime.h"
#include "core/tensor/tensor.h"

namespace csreft::cuda {

// The array comes to pinned memory: a copy into other memory of the host would keep the host until all that was started
// before is done.
class PinnedCopy {
 public:
  PinnedCopy(std::size_t bytes, int index);
  ~PinnedCopy();
  PinnedCopy(const PinnedCopy&) = delete;
  PinnedCopy& operator=(const PinnedCopy&) = delete;

  void start(const Tensor& values);
  const void* finish();

 private:
  std::shared_ptr<void> pinned_;
  cudaEvent_t copied_ = nullptr;
};

}  // namespace csreft::cuda
