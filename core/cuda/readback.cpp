#include "core/cuda/readback.h"

#include "core/cuda/check.h"
#include "core/cuda/context.h"
#include "core/cuda/primitives.h"

namespace csreft::cuda {

PinnedCopy::PinnedCopy(std::size_t bytes, int index) {
  context(index);
  pinned_ = allocate_pinned(bytes);
  check(cudaEventCreateWithFlags(&copied_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
}

PinnedCopy::~PinnedCopy() {
  // A copy may be under way. A failure here is an earlier one, which the next checked call reports.
  static_cast<void>(cudaEventSynchronize(copied_));
  static_cast<void>(cudaEventDestroy(copied_));
}

void PinnedCopy::start(const Tensor& values) {
  const cudaStream_t stream = context(values).stream;
  check(cudaMemcpyAsync(pinned_.get(), values.raw(), values.bytes(), cudaMemcpyDeviceToHost, stream),
        "cudaMemcpyAsync");
  check(cudaEventRecord(copied_, stream), "cudaEventRecord");
}

const void* PinnedCopy::finish() {
  check(cudaEventSynchronize(copied_), "cudaEventSynchronize");
  return pinned_.get();
}

std::shared_ptr<PinnedCopy> make_pinned_copy(std::size_t bytes, int index) {
  return std::make_shared<PinnedCopy>(bytes, index);
}
void start_copy(PinnedCopy& copy, const Tensor& values) { copy.start(values); }
const void* finish_copy(PinnedCopy& copy) { return copy.finish(); }

}  // namespace csreft::cuda
