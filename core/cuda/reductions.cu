// Sums over all elements of one tensor or of several, in double: each block sums its share, one block adds the shares
// in order.
#include "core/cuda/ops.h"
#include "core/cuda/reduce.cuh"
#include "core/cuda/tensors.cuh"

namespace csreft::cuda {
namespace {

constexpr std::int64_t max_shares = 1024;
// Elements that a thread adds before another block is worth starting.
constexpr std::int64_t elements_per_thread = 16;

struct Identity {
  __device__ double operator()(double x) const { return x; }
};
struct Absolute {
  __device__ double operator()(double x) const { return fabs(x); }
};
struct Square {
  __device__ double operator()(double x) const { return x * x; }
};

// A tensor of those that a launch sums.
template <typename T>
struct Summand {
  std::int64_t n;
  const T* x;
};

// shares[block] = sum of f(x[i]) over the block's elements of its tensor.
template <typename F, typename T>
__global__ void sum_shares_kernel(TensorList<Summand<T>> list, double* shares) {
  CSREFT_SHARED(WarpValues<double>, scratch);
  const BlockPlace place = block_place(list);
  const Summand<T> item = list.items[place.tensor];
  double sum = 0;
  for (std::int64_t i = place.first(); i < item.n; i += place.stride()) sum += F{}(static_cast<double>(item.x[i]));
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

unsigned count_shares(std::int64_t n) {
  const std::int64_t per_block = block_threads * elements_per_thread;
  return static_cast<unsigned>(std::clamp<std::int64_t>((n + per_block - 1) / per_block, 1, max_shares));
}

// y[0] = sum of f(x) over the elements of all tensors: one launch for their shares, one that adds these.
template <typename F, typename Out>
void sum_all(std::string_view op, std::span<const Tensor> tensors, Out* y) {
  const Tensor& first = tensors.front();
  unsigned n_shares = 0;
  for (const Tensor& t : tensors) n_shares += count_shares(t.numel());
  const Tensor partial = Tensor::empty({n_shares}, DType::f64, first.device());
  visit_real(first.dtype(), op, [&]<typename T>(T) {
    std::vector<Summand<T>> items;
    for (const Tensor& t : tensors) items.push_back({t.numel(), elements<const T>(t)});
    double* shares = elements<double>(partial);
    const auto count = [](const Summand<T>& item) { return count_shares(item.n); };
    for_tensor_lists(items, count, [&](const TensorList<Summand<T>>& list, unsigned blocks) {
      launch(sum_shares_kernel<F, T>, dim3(blocks), dim3(block_threads), 0, context(first).stream, list, shares);
      shares += blocks;
    });
  });
  launch(add_shares_kernel<Out>, dim3(1), dim3(block_threads), 0, context(first).stream,
         elements<const double>(partial), n_shares, y);
}

}  // namespace

void sum(const Tensor& x, const Tensor& y) {
  visit_real(x.dtype(), "sum", [&]<typename T>(T) { sum_all<Identity>("sum", {&x, 1}, elements<T>(y)); });
}

void abs_sum(const Tensor& x, const Tensor& y) {
  visit_real(x.dtype(), "abs_sum", [&]<typename T>(T) { sum_all<Absolute>("abs_sum", {&x, 1}, elements<T>(y)); });
}

double squared_norm(const Tensor& x) { return squared_norms({&x, 1}); }

double squared_norms(std::span<const Tensor> tensors) {
  const Tensor total = Tensor::empty({1}, DType::f64, tensors.front().device());
  sum_all<Square>("squared_norms", tensors, elements<double>(total));
  return total.item();
}

}  // namespace csreft::cuda
