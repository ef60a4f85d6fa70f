// Memory of a device, in the order of its stream.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "core/cuda/runtime.h"
#include "core/device/device_info.h"

namespace csreft::cuda {

// Thread-safe. The calling thread's current device is the allocator's.
class Allocator {
 public:
  Allocator(int index, cudaStream_t stream) : index_(index), stream_(stream) {}

  // At least `bytes` bytes, uninitialised. Throws Error when there is not enough, saying how much was asked for, held
  // and free.
  std::shared_ptr<void> allocate(std::size_t bytes);

  DeviceMemory memory() const;
  // Counts the peak from what is held now.
  void reset_peak() { peak_ = held_.load(); }

 private:
  void count(std::size_t bytes);
  [[noreturn]] void fail_out_of_memory(std::size_t bytes) const;

  int index_;
  cudaStream_t stream_;
  std::atomic<std::size_t> held_{0}, peak_{0};  // bytes of tensors; peak_: the most since reset_peak()
};

// While one lives, blocks that this thread lets go of wait: a stream that is captured must not free what was allocated
// before. They are freed in the order of `stream` when it ends.
class PostponedFrees {
 public:
  explicit PostponedFrees(cudaStream_t stream);
  ~PostponedFrees();
  PostponedFrees(const PostponedFrees&) = delete;
  PostponedFrees& operator=(const PostponedFrees&) = delete;

 private:
  cudaStream_t stream_;
  std::vector<void*> blocks_;
};

}  // namespace csreft::cuda
