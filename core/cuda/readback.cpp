#include "core/cuda/readback.h"

#include <memory>

#include "core/cuda/check.h"
#include "core/cuda/context.h"

namespace csreft::cuda {
namespace {

// The array comes to pinned memory: a copy into other memory of the host would keep the host until all that was started
// before is done.
class PinnedCopy {
 public:
  PinnedCopy(std::size_t bytes, int index) : index_(index) {
    context(index);
    pinned_ = allocate_pinned(bytes);
    check(cudaEventCreateWithFlags(&copied_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  }
  ~PinnedCopy() {
    // A copy may be under way. A failure here is an earlier one, which the next checked call reports.
    static_cast<void>(cudaEventSynchronize(copied_));
    static_cast<void>(cudaEventDestroy(copied_));
  }
  PinnedCopy(const PinnedCopy&) = delete;
  PinnedCopy& operator=(const PinnedCopy&) = delete;

  void start(const void* from, std::size_t bytes) {
    const cudaStream_t stream = context(index_).stream;
    check(cudaMemcpyAsync(pinned_.get(), from, bytes, cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
    check(cudaEventRecord(copied_, stream), "cudaEventRecord");
  }

  const void* wait() {
    check(cudaEventSynchronize(copied_), "cudaEventSynchronize");
    return pinned_.get();
  }

 private:
  int index_;
  std::shared_ptr<void> pinned_;
  cudaEvent_t copied_ = nullptr;
};

}  // namespace

CopyToHost copy_to_host(std::size_t capacity, int index) {
  const auto copy = std::make_shared<PinnedCopy>(capacity, index);
  return {.start = [copy](const void* from, std::size_t bytes) { copy->start(from, bytes); },
          .wait = [copy] { return copy->wait(); }};
}

}  // namespace csreft::cuda
