// A frozen weight matrix, laid out once for the matrix products of this machine.
#pragma once

#include <memory>

#include "core/tensor.h"

namespace csreft {

// W [out, in] in f32 (packed by oneDNN where its kernels want another order than rows, used in place where they do
// not) or in f64 (used in place). A handle: copies share the packed data. Reading is thread-safe.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  // `backward` prepares transposed products too (gradients with respect to the input pass through the matrix).
  // The packed copies are made on first use and the source is released when nothing reads it any more.
  explicit PackedMatrix(const Tensor& weight);

  bool defined() const { return impl_ != nullptr; }
  std::int64_t out_features() const;
  std::int64_t in_features() const;
  DType dtype() const;

  // x W^T: [n, in] -> [n, out]. Throw Error on a mismatch of shape or type.
  Tensor apply(const Tensor& x) const;
  // y W: [n, out] -> [n, in]; the gradient of x in apply, given the gradient y.
  Tensor apply_transposed(const Tensor& y) const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace csreft
