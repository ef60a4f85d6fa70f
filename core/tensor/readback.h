// A few integers of a device on their way to the host, which has other things to do meanwhile.
#pragma once

#include <cstdint>
#include <span>

#include "core/device/backend.h"
#include "core/tensor/tensor.h"

namespace csreft {

// One copy at a time, of up to `capacity` integers. The host does not wait for the work that makes them until it asks
// for them.
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
  CopyToHost copy_;
};

}  // namespace csreft
