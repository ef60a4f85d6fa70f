#include "core/cuda/allocator.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/cuda/check.h"

namespace csreft::cuda {
namespace {

// Where this thread's freed blocks wait, if they do.
std::vector<void*>*& postponed() {
  thread_local std::vector<void*>* blocks = nullptr;
  return blocks;
}

}  // namespace

std::shared_ptr<void> Allocator::allocate(std::size_t bytes) {
  const std::size_t asked = std::max<std::size_t>(bytes, 1);
  void* data = nullptr;
  const cudaError_t status = cudaMallocAsync(&data, asked, stream_);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());  // this error does not stick: the next call must not see it
    fail_out_of_memory(bytes);
  }
  check(status, "cudaMallocAsync");
  count(asked);
  return {data, [asked, this](void* block) {
            held_ -= asked;
            if (postponed() != nullptr) return postponed()->push_back(block);
            // A failure here is an earlier one, which the next checked call reports: destructors do not throw.
            static_cast<void>(cudaFreeAsync(block, stream_));
          }};
}

void Allocator::count(std::size_t bytes) {
  const std::size_t held = held_ += bytes;
  std::size_t most = peak_;
  while (held > most && !peak_.compare_exchange_weak(most, held)) {
  }
}

DeviceMemory Allocator::memory() const {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return {.used = held_, .peak = peak_, .total = total};
}

void Allocator::fail_out_of_memory(std::size_t bytes) const {
  constexpr auto mib = [](std::size_t n) { return static_cast<double>(n) * 0x1p-20; };
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  fail(
      "out of memory on cuda:{}: {:.1f} MiB asked for, {:.1f} MiB held by tensors, {:.1f} of {:.1f} MiB free; expected "
      "frozen weights in half the memory (--weights bf16), fewer tokens at a time (--tokens-per-pass, --batch) or "
      "shorter sequences (--max-length)",
      index_, mib(bytes), mib(held_), mib(free), mib(total));
}

PostponedFrees::PostponedFrees(cudaStream_t stream) : stream_(stream) { postponed() = &blocks_; }

PostponedFrees::~PostponedFrees() {
  postponed() = nullptr;
  // A failure here is an earlier one, which the next checked call reports.
  for (void* const block : blocks_) static_cast<void>(cudaFreeAsync(block, stream_));
}

}  // namespace csreft::cuda
