// Small host arrays on their way to a device: index tensors and lists of work.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/cuda/allocator.h"
#include "core/cuda/runtime.h"

namespace csreft::cuda {

// Memory of the host that devices copy from and to while the host goes on.
std::shared_ptr<void> allocate_pinned(std::size_t bytes);

// Copies go through pinned memory, so that neither the host nor the stream waits; the last ones are kept and compared
// by content, because the layers of a model ask for the same positions and offsets again and again. All memory is
// there from the first upload on, as long as arrays fit their places.
class Uploads {
 public:
  static constexpr std::size_t kept = 64;
  static constexpr std::size_t place_bytes = 16384;  // the indices of 4096 tokens

  // Makes nothing on the device until the first array is asked for.
  explicit Uploads(Allocator& allocator) : allocator_(allocator) {}

  // The bytes on the device, for work that is started on the stream before `kept` further calls; for recorded work
  // (graph.h), as long as its graph lives.
  const void* get(const void* bytes, std::size_t n, cudaStream_t stream);

 private:
  struct Place {
    std::vector<std::byte> content;
    std::uint64_t last_use = 0;
    std::byte* pinned = nullptr;
    std::byte* there = nullptr;
    std::size_t capacity = 0;
    cudaEvent_t copied = nullptr;  // the pinned bytes have been fetched
    // Of a place that was too small: its own memory.
    std::shared_ptr<void> own_pinned, own_there;
  };

  void make();
  // A place for n bytes in which no copy is under way any longer.
  Place& oldest_place(std::size_t n);
  void send(Place& place, const void* bytes, std::size_t n, void* to, cudaStream_t stream);
  const void* get_constant(const void* bytes, std::size_t n, cudaStream_t stream);

  Allocator& allocator_;
  std::mutex mutex_;
  std::shared_ptr<void> pinned_, there_;
  std::array<Place, kept> places_;
  std::uint64_t uses_ = 0;
};

}  // namespace csreft::cuda
