// Sums, differences and products of equal shapes; constants, copies and other element types.
#include "core/cuda/grid.cuh"
#include "core/cuda/memory.h"
#include "core/cuda/ops.h"

namespace csreft::cuda {
namespace {

template <typename T>
struct AddElements {
  const T *a, *b;
  T* y;
  __device__ void operator()(std::int64_t i) const { y[i] = a[i] + b[i]; }
};
template <typename T>
struct SubElements {
  const T *a, *b;
  T* y;
  __device__ void operator()(std::int64_t i) const { y[i] = a[i] - b[i]; }
};
template <typename T>
struct MulElements {
  const T *a, *b;
  T* y;
  __device__ void operator()(std::int64_t i) const { y[i] = a[i] * b[i]; }
};
template <typename T>
struct ScaleElements {
  const T* x;
  T factor;
  T* y;
  __device__ void operator()(std::int64_t i) const { y[i] = factor * x[i]; }
};
template <typename T>
struct AxpyElements {
  const T* x;
  T factor;
  T* y;
  __device__ void operator()(std::int64_t i) const { y[i] += factor * x[i]; }
};
template <typename T>
struct FillElements {
  T value;
  T* y;
  __device__ void operator()(std::int64_t i) const { y[i] = value; }
};

template <template <typename> typename Elements>
void binary(std::string_view op, const Tensor& a, const Tensor& b, const Tensor& y) {
  visit_real(y.dtype(), op, [&]<typename T>(T) {
    for_elements(context(y), y.numel(), Elements<T>{elements<const T>(a), elements<const T>(b), elements<T>(y)});
  });
}

// y = x in another type. bf16 is rounded to nearest, ties to even, as on the host.
template <typename From, typename To>
struct CastElements {
  const From* x;
  To* y;
  __device__ void operator()(std::int64_t i) const { y[i] = static_cast<To>(x[i]); }
};
template <typename To>
struct CastElements<__nv_bfloat16, To> {
  const __nv_bfloat16* x;
  To* y;
  __device__ void operator()(std::int64_t i) const { y[i] = static_cast<To>(__bfloat162float(x[i])); }
};
template <typename From>
struct CastElements<From, __nv_bfloat16> {
  const From* x;
  __nv_bfloat16* y;
  __device__ void operator()(std::int64_t i) const { y[i] = __float2bfloat16(static_cast<float>(x[i])); }
};
template <>
struct CastElements<__nv_bfloat16, __nv_bfloat16> {
  const __nv_bfloat16* x;
  __nv_bfloat16* y;
  __device__ void operator()(std::int64_t i) const { y[i] = x[i]; }
};

// Calls f with a value of the device's type for f32, bf16 or f64.
template <typename F>
void visit_storage(DType type, const F& f) {
  switch (type) {
    case DType::f32: return f(float{});
    case DType::bf16: return f(__nv_bfloat16{});
    case DType::f64: return f(double{});
    default: fail("a tensor of {} cannot be cast: expected f32, bf16 or f64", name_of(type));
  }
}

}  // namespace

void add(const Tensor& a, const Tensor& b, const Tensor& y) { binary<AddElements>("add", a, b, y); }
void sub(const Tensor& a, const Tensor& b, const Tensor& y) { binary<SubElements>("sub", a, b, y); }
void mul(const Tensor& a, const Tensor& b, const Tensor& y) { binary<MulElements>("mul", a, b, y); }

void scale(const Tensor& x, double factor, const Tensor& y) {
  visit_real(y.dtype(), "scale", [&]<typename T>(T) {
    for_elements(context(y), y.numel(), ScaleElements<T>{elements<const T>(x), static_cast<T>(factor), elements<T>(y)});
  });
}

void axpy(double factor, const Tensor& x, const Tensor& y) {
  visit_real(y.dtype(), "axpy_", [&]<typename T>(T) {
    for_elements(context(y), y.numel(), AxpyElements<T>{elements<const T>(x), static_cast<T>(factor), elements<T>(y)});
  });
}

void fill(double value, const Tensor& y) {
  visit_real(y.dtype(), "fill", [&]<typename T>(T) {
    for_elements(context(y), y.numel(), FillElements<T>{static_cast<T>(value), elements<T>(y)});
  });
}

void copy(const Tensor& x, const Tensor& y) { copy_bytes(y.raw(), y.device(), x.raw(), x.device(), x.bytes()); }

void cast(const Tensor& x, const Tensor& y) {
  visit_storage(x.dtype(), [&]<typename From>(From) {
    visit_storage(y.dtype(), [&]<typename To>(To) {
      for_elements(context(y), y.numel(), CastElements<From, To>{elements<const From>(x), elements<To>(y)});
    });
  });
}

}  // namespace csreft::cuda
