// A few integers of a device on their way to the host, which has other things to do meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/tensor/tensor.h"

namespace csreft {

namespace cuda {
class PinnedCopy;
}

// One copy at a time, of up to `capacity` integers. On a CUDA device the host does not wait for the work that makes
// them until it asks for them.
class Readback {
 public:
  Readback(const Device& device, std::int64_t capacity);

  // Asks for the elements of an i32 tensor on the device, as the work that has been started so far leaves them. Throws
  // Error for another type or device, and for more than `capacity`.
  void start(const Tensor& values);
  // Waits for the elements that were asked for last; they are valid until the next start.
  std::span<const std::int32_t> wait();

 private:
  Device device_;
  std::size_t capacity_, asked_ = 0;
  std::vector<std::int32_t> here_;            // of the host
  std::shared_ptr<cuda::PinnedCopy> pinned_;  // of a CUDA device
};

}  // namespace csreft
