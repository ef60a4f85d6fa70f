// Gates of stacked subspaces: block j of r columns times the example's alpha_j.
#include "core/cuda/groups.h"
#include "core/cuda/ops.h"
#include "core/cuda/reduce.cuh"

namespace csreft::cuda {
namespace {

template <typename T>
struct ScaleBlocks {
  const T *u, *alpha;
  const std::int32_t* example;
  T* y;
  std::int64_t m, k, r;
  __device__ void operator()(std::int64_t i) const { y[i] = alpha[example[i / m] * k + i % m / r] * u[i]; }
};

// dalpha[examples[blockIdx.x], blockIdx.y] = sum of dy * u over the rows of the example and the block's r columns.
template <typename T>
__global__ void backward_alpha_kernel(const T* dy, const T* u, const std::int32_t* examples,
                                      const std::int32_t* offsets, const std::int32_t* rows, T* dalpha, std::int64_t m,
                                      std::int64_t r) {
  CSREFT_SHARED(WarpValues<double>, scratch);
  const std::int64_t begin = offsets[blockIdx.x], n = (offsets[blockIdx.x + 1] - begin) * r;
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const std::int64_t at = rows[begin + i / r] * m + blockIdx.y * r + i % r;
    sum += static_cast<double>(dy[at] * u[at]);
  }
  sum = reduce_block(sum, scratch, Add{});
  if (threadIdx.x == 0) dalpha[examples[blockIdx.x] * std::int64_t{gridDim.y} + blockIdx.y] = static_cast<T>(sum);
}

}  // namespace

void scale_blocks(const Tensor& u, const Tensor& alpha, const Tensor& example, const Tensor& y) {
  if (u.numel() == 0) return;
  Context& device = context(u);
  const auto* of = upload(device, example);
  visit_real(u.dtype(), "scale_blocks", [&]<typename T>(T) {
    for_elements(device, u.numel(),
                 ScaleBlocks<T>{elements<const T>(u), elements<const T>(alpha), of, elements<T>(y), u.cols(),
                                alpha.cols(), u.cols() / alpha.cols()});
  });
}

void scale_blocks_backward_alpha(const Tensor& dy, const Tensor& u, const Tensor& example, const Tensor& dalpha) {
  Context& device = context(u);
  fill(0, dalpha);  // examples without rows
  if (u.numel() == 0) return;
  const Groups groups = group_by_value(example.span<std::int32_t>());
  const auto upload_list = [&](const std::vector<std::int32_t>& list) {
    return upload(device, std::span<const std::int32_t>(list));
  };
  const auto* examples = upload_list(groups.values);
  const auto* offsets = upload_list(groups.offsets);
  const auto* rows = upload_list(groups.places);
  const dim3 grid(static_cast<unsigned>(groups.values.size()), static_cast<unsigned>(dalpha.cols()));
  visit_real(u.dtype(), "scale_blocks_backward_alpha", [&]<typename T>(T) {
    launch(backward_alpha_kernel<T>, grid, dim3(block_threads), 0, device.stream, elements<const T>(dy),
           elements<const T>(u), examples, offsets, rows, elements<T>(dalpha), u.cols(), u.cols() / dalpha.cols());
  });
}

}  // namespace csreft::cuda
