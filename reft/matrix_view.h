// f64 tensors as Eigen matrices. For the .cpp files that do small dense algebra; no interface of the project speaks
// Eigen.
#pragma once

#include <Eigen/Core>

#include "core/tensor/tensor.h"

namespace csreft {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// The elements of an f64 tensor [r, d], not a copy.
inline Eigen::Map<Matrix> matrix(const Tensor& t) { return {t.data<double>(), t.rows(), t.cols()}; }

// A new f64 tensor with the values of an Eigen expression.
template <typename Expression>
Tensor tensor(const Expression& expression) {
  Tensor t = Tensor::empty({expression.rows(), expression.cols()}, DType::f64);
  matrix(t) = expression;
  return t;
}

}  // namespace csreft
