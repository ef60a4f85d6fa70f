// Sums, differences and products of equal shapes; constants, copies and other element types.
#include "core/cpu/maps.h"
#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {
namespace {

// y = f(a, b), f on Eigen arrays.
template <typename F>
void binary(const Tensor& a, const Tensor& b, const Tensor& y, const F& f) {
  visit_real(y.dtype(), "elementwise arithmetic", [&]<typename T>(T) {
    const T* pa = a.data<T>();
    const T* pb = b.data<T>();
    T* py = y.data<T>();
    for_elements(y.numel(), [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t n = end - begin;
      array(py + begin, n) = f(array(pa + begin, n), array(pb + begin, n));
    });
  });
}

template <typename From, typename To>
void convert(const From* from, To* to, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<From, bfloat16>) {
      to[i] = static_cast<To>(static_cast<float>(from[i]));
    } else if constexpr (std::is_same_v<To, bfloat16>) {
      to[i] = bfloat16(static_cast<float>(from[i]));
    } else {
      to[i] = static_cast<To>(from[i]);
    }
  }
}

// Calls f with a value of the C++ type of f32, bf16 or f64.
template <typename F>
void visit_storage(DType type, const F& f) {
  switch (type) {
    case DType::f32: return f(float{});
    case DType::bf16: return f(bfloat16{});
    case DType::f64: return f(double{});
    default: fail("a tensor of {} cannot be cast: expected f32, bf16 or f64", name_of(type));
  }
}

}  // namespace

void add(const Tensor& a, const Tensor& b, const Tensor& y) {
  binary(a, b, y, [](const auto& p, const auto& q) { return p + q; });
}

void sub(const Tensor& a, const Tensor& b, const Tensor& y) {
  binary(a, b, y, [](const auto& p, const auto& q) { return p - q; });
}

void mul(const Tensor& a, const Tensor& b, const Tensor& y) {
  binary(a, b, y, [](const auto& p, const auto& q) { return p * q; });
}

void scale(const Tensor& x, double factor, const Tensor& y) {
  visit_real(y.dtype(), "scale", [&]<typename T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for_elements(y.numel(), [&](std::int64_t begin, std::int64_t end) {
      array(py + begin, end - begin) = static_cast<T>(factor) * array(px + begin, end - begin);
    });
  });
}

void fill(double value, const Tensor& y) {
  visit_real(y.dtype(), "fill", [&]<typename T>(T) {
    T* py = y.data<T>();
    for_elements(y.numel(),
                 [&](std::int64_t begin, std::int64_t end) { std::fill(py + begin, py + end, static_cast<T>(value)); });
  });
}

void copy(const Tensor& x, const Tensor& y) {
  visit_real(y.dtype(), "copy_", [&]<typename T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for_elements(y.numel(), [&](std::int64_t begin, std::int64_t end) { std::copy(px + begin, px + end, py + begin); });
  });
}

void axpy(double factor, const Tensor& x, const Tensor& y) {
  visit_real(y.dtype(), "axpy_", [&]<typename T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for_elements(y.numel(), [&](std::int64_t begin, std::int64_t end) {
      array(py + begin, end - begin) += static_cast<T>(factor) * array(px + begin, end - begin);
    });
  });
}

void cast(const Tensor& x, const Tensor& y) {
  visit_storage(x.dtype(), [&]<typename From>(From) {
    visit_storage(y.dtype(), [&]<typename To>(To) { convert(x.data<From>(), y.data<To>(), y.numel()); });
  });
}

}  // namespace csreft::cpu
