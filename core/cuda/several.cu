// Copies and multiples of several tensors, in one launch.
#include "core/cuda/ops.h"
#include "core/cuda/tensors.cuh"

namespace csreft::cuda {
namespace {

// y = x in another type, or the same.
template <typename From, typename To>
struct CopyTensor {
  std::int64_t n;
  const From* x;
  To* y;
  __device__ void operator()(std::int64_t i) const { y[i] = static_cast<To>(x[i]); }
};

template <typename T>
struct ScaleTensor {
  std::int64_t n;
  const T* x;
  T factor;
  T* y;
  __device__ void operator()(std::int64_t i) const { y[i] = factor * x[i]; }
};

}  // namespace

void copy_all(std::span<const Tensor> x, std::span<const Tensor> y) {
  visit_real(x.front().dtype(), "copy_all_", [&]<typename From>(From) {
    visit_real(y.front().dtype(), "copy_all_", [&]<typename To>(To) {
      std::vector<CopyTensor<From, To>> items;
      for (std::size_t i = 0; i < x.size(); ++i) {
        items.push_back({x[i].numel(), elements<const From>(x[i]), elements<To>(y[i])});
      }
      for_tensors(context(y.front()), items);
    });
  });
}

void scale_all(std::span<const Tensor> x, double factor, std::span<const Tensor> y) {
  visit_real(y.front().dtype(), "scale_all", [&]<typename T>(T) {
    std::vector<ScaleTensor<T>> items;
    for (std::size_t i = 0; i < x.size(); ++i) {
      items.push_back({x[i].numel(), elements<const T>(x[i]), static_cast<T>(factor), elements<T>(y[i])});
    }
    for_tensors(context(y.front()), items);
  });
}

}  // namespace csreft::cuda
