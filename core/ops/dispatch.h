// How the functions of core/ops/ops.h reach a backend: what they share.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/device/backend.h"
#include "core/ops/checks.h"
#include "core/ops/ops.h"

namespace csreft::ops {

// The function that runs a primitive where its tensors lie.
template <typename Function>
Function* backend(const Tensor& t, Function* Backend::*primitive) {
  return backend_of(t.device()).*primitive;
}

// A new tensor with the element type and the device of `other`.
inline Tensor empty_like(const Tensor& other, const Shape& shape) {
  return Tensor::empty(shape, other.dtype(), other.device());
}
inline Tensor empty_like(const Tensor& other) { return empty_like(other, other.shape()); }

using UnaryPrimitive = void (*Backend::*)(const Tensor&, const Tensor&);
using BinaryPrimitive = void (*Backend::*)(const Tensor&, const Tensor&, const Tensor&);

// y = f(x), elementwise.
inline Tensor unary(std::string_view op, const Tensor& x, UnaryPrimitive primitive) {
  checks::real(op, "x", x);
  Tensor y = empty_like(x);
  backend(x, primitive)(x, y);
  return y;
}

// y = f(a, b), elementwise.
inline Tensor binary(std::string_view op, const Tensor& a, const Tensor& b, BinaryPrimitive primitive) {
  checks::real(op, "the first operand", a);
  checks::like(op, "the second operand", b, a.shape(), a);
  Tensor y = empty_like(a);
  backend(a, primitive)(a, b, y);
  return y;
}

// y = f(x, row), row by row.
inline Tensor broadcast(std::string_view op, const Tensor& x, const Tensor& row, BinaryPrimitive primitive) {
  checks::real_matrix(op, "x", x);
  checks::like(op, "row", row, {x.cols()}, x);
  Tensor y = empty_like(x);
  backend(x, primitive)(x, row, y);
  return y;
}

// Throws Error unless the defined ones among the tensors have one real type and lie on one device; returns those.
inline std::vector<Tensor> defined_and_alike(std::string_view op, std::span<const Tensor> tensors) {
  std::vector<Tensor> defined;
  for (const Tensor& t : tensors) {
    if (!t.defined()) continue;
    checks::real(op, "a tensor", t);
    require(defined.empty() || (t.device() == defined.front().device() && t.dtype() == defined.front().dtype()),
            "{}: tensors of several types or on several devices, expected one of each", op);
    defined.push_back(t);
  }
  return defined;
}

}  // namespace csreft::ops
