// Sums over all elements, in double: each block sums its share, one block adds the shares in order.
#include "core/cuda/ops.h"
#include "core/cuda/primitives.h"
#include "core/cuda/reduce.cuh"

namespace csreft::cuda {
namespace {

constexpr std::int64_t max_shares = 1024;
// Elements that a thread adds before another block is worth starting.
constexpr std::int64_t elements_per_thread = 16;

struct Identity {
  __device__ double operator()(double x) const { return x; }
};
struct Square {
  __device__ double operator()(double x) const { return x * x; }
};

// shares[block] = sum of f(x[i]) over the block's elements.
template <typename F, typename T>
__global__ void sum_shares_kernel(const T* x, std::int64_t n, double* shares) {
  CSREFT_SHARED(WarpValues<double>, scratch);
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  double sum = 0;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    sum += F{}(static_cast<double>(x[i]));
  }
  sum = reduce_block(sum, scratch, Add{});
  if (threadIdx.x == 0) shares[blockIdx.x] = sum;
}

template <typename T>
__global__ void add_shares_kernel(const double* shares, unsigned n, T* y) {
  CSREFT_SHARED(WarpValues<double>, scratch);
  double sum = 0;
  for (unsigned i = threadIdx.x; i < n; i += blockDim.x) sum += shares[i];
  sum = reduce_block(sum, scratch, Add{});
  if (threadIdx.x == 0) *y = static_cast<T>(sum);
}

unsigned count_shares(const Tensor& x) {
  const std::int64_t per_block = block_threads * elements_per_thread;
  return static_cast<unsigned>(std::clamp<std::int64_t>((x.numel() + per_block - 1) / per_block, 1, max_shares));
}

template <typename F>
void sum_shares(std::string_view op, const Tensor& x, unsigned n, double* shares) {
  visit_real(x.dtype(), op, [&]<typename T>(T) {
    launch(sum_shares_kernel<F, T>, dim3(n), dim3(block_threads), 0, context(x).stream, elements<const T>(x), x.numel(),
           shares);
  });
}

// y[0] = sum of f(x)
template <typename F, typename Out>
void sum_all(std::string_view op, const Tensor& x, Out* y) {
  const unsigned shares = count_shares(x);
  const Tensor partial = Tensor::empty({shares}, DType::f64, x.device());
  sum_shares<F>(op, x, shares, elements<double>(partial));
  launch(add_shares_kernel<Out>, dim3(1), dim3(block_threads), 0, context(x).stream, elements<const double>(partial),
         shares, y);
}

}  // namespace

void sum(const Tensor& x, const Tensor& y) {
  visit_real(x.dtype(), "sum", [&]<typename T>(T) { sum_all<Identity>("sum", x, elements<T>(y)); });
}

double squared_norm(const Tensor& x) {
  const Tensor total = Tensor::empty({1}, DType::f64, x.device());
  sum_all<Square>("squared_norm", x, elements<double>(total));
  return total.item();
}

double squared_norms(std::span<const Tensor> tensors) {
  unsigned shares = 0;
  for (const Tensor& t : tensors) shares += count_shares(t);
  const Tensor partial = Tensor::empty({shares}, DType::f64, tensors.front().device());
  const Tensor total = Tensor::empty({1}, DType::f64, partial.device());
  unsigned begin = 0;
  for (const Tensor& t : tensors) {
    sum_shares<Square>("squared_norms", t, count_shares(t), elements<double>(partial) + begin);
    begin += count_shares(t);
  }
  launch(add_shares_kernel<double>, dim3(1), dim3(block_threads), 0, context(partial).stream,
         elements<const double>(partial), shares, elements<double>(total));
  return total.item();
}

}  // namespace csreft::cuda
