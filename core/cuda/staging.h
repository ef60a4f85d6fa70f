// Large arrays of the host on their way to a device: the weights of a model.
#pragma once

#include <array>
#include <cstddef>
#include <mutex>

#include "core/cuda/runtime.h"

namespace csreft::cuda {

// The host fills pinned pieces in turn while the device fetches those that are full, in a stream of its own: reading a
// file, or unpacking its blocks, overlaps with the copy of what was read before and with the device's other work.
class Staging {
 public:
  static constexpr std::size_t piece_bytes = std::size_t{8} << 20U;
  // Smaller arrays are not worth the events.
  static constexpr std::size_t least_bytes = std::size_t{1} << 20U;

  // Makes nothing until the first copy.
  Staging() = default;

  // Copies host memory to the device: after the work that `stream` was given before, and before what it is given
  // after. When it returns, the host's memory has been read and may change; the device may still be fetching.
  void copy(void* to, const void* from, std::size_t bytes, cudaStream_t stream);

 private:
  struct Piece {
    void* pinned = nullptr;
    cudaEvent_t fetched = nullptr;
  };

  void make();

  std::mutex mutex_;
  cudaStream_t copies_ = nullptr;
  cudaEvent_t before_ = nullptr, after_ = nullptr;
  std::array<Piece, 3> pieces_;
  std::size_t next_ = 0;
};

}  // namespace csreft::cuda
