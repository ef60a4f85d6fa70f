#include "core/cuda/uploads.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/cuda/check.h"
#include "core/cuda/primitives.h"

namespace csreft::cuda {

const void* Uploads::get(const void* bytes, std::size_t n, cudaStream_t stream) {
  if (n == 0) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find_if(entries_, [&](const Entry& entry) {
    return entry.content.size() == n && std::memcmp(entry.content.data(), bytes, n) == 0;
  });
  if (found != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, found);
    return entries_.front().memory.get();
  }
  Piece& piece = next_piece(n);
  std::memcpy(piece.pinned, bytes, n);
  Entry entry{{static_cast<const std::byte*>(bytes), static_cast<const std::byte*>(bytes) + n}, allocate(n, index_)};
  check(cudaMemcpyAsync(entry.memory.get(), piece.pinned, n, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
  check(cudaEventRecord(piece.copied, stream), "cudaEventRecord");
  // What is dropped is freed in the order of the stream: work that was started before still reads it.
  if (entries_.size() == kept) entries_.pop_back();
  entries_.push_front(std::move(entry));
  return entries_.front().memory.get();
}

// Pinned memory for n bytes that no copy reads any longer.
Uploads::Piece& Uploads::next_piece(std::size_t n) {
  constexpr std::size_t pieces = 64, smallest = 16384;
  if (ring_.size() < pieces) {
    Piece piece;
    check(cudaEventCreateWithFlags(&piece.copied, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    ring_.push_back(piece);
    next_ = ring_.size() - 1;
  } else {
    next_ = (next_ + 1) % pieces;
    check(cudaEventSynchronize(ring_[next_].copied), "cudaEventSynchronize");
  }
  Piece& piece = ring_[next_];
  if (piece.capacity < n) {
    if (piece.pinned != nullptr) check(cudaFreeHost(piece.pinned), "cudaFreeHost");
    piece.capacity = 0;
    const std::size_t capacity = std::max(smallest, std::bit_ceil(n));
    check(cudaMallocHost(&piece.pinned, capacity), "cudaMallocHost");
    piece.capacity = capacity;
  }
  return piece;
}

}  // namespace csreft::cuda
