// Eigen's view of raw elements: vectorised arithmetic, and small matrix products inside a thread.
#pragma once

#include <Eigen/Core>
#include <cstdint>

namespace csreft::cpu {

template <typename T>
using ArrayMap = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
template <typename T>
using ConstArrayMap = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;

template <typename T>
ArrayMap<T> array(T* data, std::int64_t n) {
  return {data, n};
}
template <typename T>
ConstArrayMap<T> array(const T* data, std::int64_t n) {
  return {data, n};
}

// Row-major matrices whose rows lie `stride` elements apart.
template <typename T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <typename T>
using MatrixMap = Eigen::Map<RowMajor<T>, 0, Eigen::OuterStride<>>;
template <typename T>
using ConstMatrixMap = Eigen::Map<const RowMajor<T>, 0, Eigen::OuterStride<>>;

template <typename T>
MatrixMap<T> matrix(T* data, std::int64_t rows, std::int64_t cols, std::int64_t stride) {
  return {data, rows, cols, Eigen::OuterStride<>(stride)};
}
template <typename T>
ConstMatrixMap<T> matrix(const T* data, std::int64_t rows, std::int64_t cols, std::int64_t stride) {
  return {data, rows, cols, Eigen::OuterStride<>(stride)};
}

}  // namespace csreft::cpu
