// Small host arrays on their way to a device: index tensors and lists of work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "core/cuda/runtime.h"

namespace csreft::cuda {

// Copies go through a ring of pinned memory, so that neither the host nor the stream waits; the last ones are kept and
// compared by content, because the layers of a model ask for the same positions and offsets again and again.
class Uploads {
 public:
  static constexpr std::size_t kept = 64;

  // Makes nothing on the device until the first array is asked for.
  explicit Uploads(int index) : index_(index) {}

  // The bytes on the device, for work that is started on the stream before `kept` further calls.
  const void* get(const void* bytes, std::size_t n, cudaStream_t stream);

 private:
  struct Entry {
    std::vector<std::byte> content;
    std::shared_ptr<void> memory;
  };
  struct Piece {
    void* pinned = nullptr;
    std::size_t capacity = 0;
    cudaEvent_t copied = nullptr;
  };

  Piece& next_piece(std::size_t n);

  int index_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // the last used first
  std::vector<Piece> ring_;
  std::size_t next_ = 0;
};

}  // namespace csreft::cuda
