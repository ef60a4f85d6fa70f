// -log softmax(logits)[target]: one thread block per row.
#include <cmath>

#include "core/cuda/ops.h"
#include "core/cuda/reduce.cuh"

namespace csreft::cuda {
namespace {

constexpr unsigned threads = 512;

// A thread's exponentials are summed in T, the threads' sums in double, so that 100,000 columns lose no digits. With a
// gradient the row becomes softmax(row) - onehot(target).
template <bool with_gradient, typename T>
__global__ void cross_entropy_kernel(T* logits, const std::int32_t* targets, T* loss, std::int64_t m) {
  CSREFT_SHARED(WarpValues<T>, maxima);
  CSREFT_SHARED(WarpValues<double>, sums);
  T* const x = logits + blockIdx.x * m;
  const std::int64_t target = targets[blockIdx.x];
  const T at_target = x[target];
  T max = x[0];
  for (std::int64_t i = threadIdx.x; i < m; i += blockDim.x) max = Max{}(max, x[i]);
  max = reduce_block(max, maxima, Max{});
  T sum = 0;
  for (std::int64_t i = threadIdx.x; i < m; i += blockDim.x) {
    const T e = exp(x[i] - max);
    if (with_gradient) x[i] = e;
    sum += e;
  }
  const double total = reduce_block(static_cast<double>(sum), sums, Add{});
  if (threadIdx.x == 0) loss[blockIdx.x] = static_cast<T>(log(total) + static_cast<double>(max - at_target));
  if (!with_gradient) return;
  const T factor = static_cast<T>(1 / total);
  for (std::int64_t i = threadIdx.x; i < m; i += blockDim.x) x[i] = x[i] * factor - (i == target ? T{1} : T{0});
}

template <bool with_gradient>
void launch_rows(std::string_view op, const Tensor& logits, const Tensor& targets, const Tensor& loss) {
  if (logits.numel() == 0) return;
  Context& device = context(logits);
  const auto* target = upload(device, targets);
  visit_real(logits.dtype(), op, [&]<typename T>(T) {
    launch(cross_entropy_kernel<with_gradient, T>, row_grid(logits.rows()), dim3(threads), 0, device.stream,
           elements<T>(logits), target, elements<T>(loss), logits.cols());
  });
}

}  // namespace

void cross_entropy(const Tensor& logits, const Tensor& targets, const Tensor& loss) {
  launch_rows<false>("cross_entropy", logits, targets, loss);
}

void cross_entropy_with_gradient(const Tensor& targets, const Tensor& logits, const Tensor& loss) {
  launch_rows<true>("cross_entropy_with_gradient_", logits, targets, loss);
}

}  // namespace csreft::cuda
