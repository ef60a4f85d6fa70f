#include "core/cuda/staging.h"

#include <algorithm>
#include <cstring>

#include "core/cuda/check.h"

namespace csreft::cuda {
namespace {

// By all threads: the pages of a mapped file are brought in as they are read, which takes one thread longer than the
// copy to a device.
void read(void* to, const std::byte* from, std::size_t bytes) {
  constexpr std::size_t slice = std::size_t{1} << 20U;
  const auto slices = static_cast<std::int64_t>((bytes + slice - 1) / slice);
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < slices; ++i) {
    const std::size_t begin = static_cast<std::size_t>(i) * slice;
    std::memcpy(static_cast<std::byte*>(to) + begin, from + begin, std::min(slice, bytes - begin));
  }
}

}  // namespace

void Staging::make() {
  if (copies_ != nullptr) return;
  for (Piece& piece : pieces_) {
    check(cudaMallocHost(&piece.pinned, piece_bytes), "cudaMallocHost");
    check(cudaEventCreateWithFlags(&piece.fetched, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  }
  check(cudaEventCreateWithFlags(&before_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  check(cudaEventCreateWithFlags(&after_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  check(cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
}

void Staging::copy(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  make();
  check(cudaEventRecord(before_, stream), "cudaEventRecord");
  check(cudaStreamWaitEvent(copies_, before_, 0), "cudaStreamWaitEvent");
  for (std::size_t done = 0; done < bytes; done += piece_bytes) {
    Piece& piece = pieces_[next_];
    next_ = (next_ + 1) % pieces_.size();
    check(cudaEventSynchronize(piece.fetched), "cudaEventSynchronize");
    const std::size_t n = std::min(piece_bytes, bytes - done);
    read(piece.pinned, static_cast<const std::byte*>(from) + done, n);
    check(cudaMemcpyAsync(static_cast<std::byte*>(to) + done, piece.pinned, n, cudaMemcpyHostToDevice, copies_),
          "cudaMemcpyAsync");
    check(cudaEventRecord(piece.fetched, copies_), "cudaEventRecord");
  }
  check(cudaEventRecord(after_, copies_), "cudaEventRecord");
  check(cudaStreamWaitEvent(stream, after_, 0), "cudaStreamWaitEvent");
}

}  // namespace csreft::cuda
