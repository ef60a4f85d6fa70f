// Rows of a matrix: broadcast, summed, looked up, scattered, averaged over segments.
#include <cstring>

#include "core/cpu/maps.h"
#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {
namespace {

// Calls body(begin, end) for ranges of the columns of an [n, m] matrix, in parallel where the matrix is large: for
// loops over rows whose order matters.
template <typename Body>
void for_columns(std::int64_t n, std::int64_t m, const Body& body) {
  constexpr std::int64_t columns = 64;
  for_each_piece(m, n * m <= piece_size ? std::max<std::int64_t>(1, m) : columns, body);
}

}  // namespace

void add_row(const Tensor& x, const Tensor& row, const Tensor& y) {
  const std::int64_t m = x.cols();
  visit_real(x.dtype(), "add_row", [&]<typename T>(T) {
    const T* px = x.data<T>();
    const T* pr = row.data<T>();
    T* py = y.data<T>();
    for_rows(x.rows(), m, [&](std::int64_t i) { array(py + i * m, m) = array(px + i * m, m) + array(pr, m); });
  });
}

void mul_row(const Tensor& x, const Tensor& row, const Tensor& y) {
  const std::int64_t m = x.cols();
  visit_real(x.dtype(), "mul_row", [&]<typename T>(T) {
    const T* px = x.data<T>();
    const T* pr = row.data<T>();
    T* py = y.data<T>();
    for_rows(x.rows(), m, [&](std::int64_t i) { array(py + i * m, m) = array(px + i * m, m) * array(pr, m); });
  });
}

void sum_rows(const Tensor& x, const Tensor& y) {
  const std::int64_t m = x.cols();
  visit_real(x.dtype(), "sum_rows", [&]<typename T>(T) {
    const T* px = x.data<T>();
    reduce_rows(x.rows(), m, y.data<T>(), [&](std::int64_t i, T* sum) { array(sum, m) += array(px + i * m, m); });
  });
}

void gather_rows(const Tensor& x, const Tensor& index, const Tensor& y) {
  const std::int64_t m = x.cols();
  const auto row = static_cast<std::size_t>(m) * size_of(x.dtype());
  const auto* px = static_cast<const std::byte*>(x.raw());
  const auto* from = index.data<std::int32_t>();
  auto* py = static_cast<std::byte*>(y.raw());
  for_rows(y.rows(), m, [&](std::int64_t i) {
    std::memcpy(py + static_cast<std::size_t>(i) * row, px + static_cast<std::size_t>(from[i]) * row, row);
  });
}

void scatter_rows(const Tensor& index, const Tensor& rows, const Tensor& y) {
  if (y.dtype() != rows.dtype()) return scatter_rows(index, rows.to(y.dtype()), y);
  const std::int64_t n = rows.rows(), m = rows.cols();
  const auto* to = index.data<std::int32_t>();
  const auto size = static_cast<std::int64_t>(size_of(y.dtype()));
  const auto* from = static_cast<const std::byte*>(rows.raw());
  auto* py = static_cast<std::byte*>(y.raw());
  for_columns(n, m, [&](std::int64_t begin, std::int64_t end) {
    const auto bytes = static_cast<std::size_t>((end - begin) * size);
    for (std::int64_t i = 0; i < n; ++i) {
      std::memcpy(py + (to[i] * m + begin) * size, from + (i * m + begin) * size, bytes);
    }
  });
}

void scatter_add_rows(const Tensor& index, const Tensor& rows, const Tensor& y) {
  const std::int64_t n = rows.rows(), m = rows.cols();
  const auto* to = index.data<std::int32_t>();
  visit_real(y.dtype(), "scatter_add_rows_", [&]<typename T>(T) {
    const T* pr = rows.data<T>();
    T* py = y.data<T>();
    for_columns(n, m, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = 0; i < n; ++i) {
        array(py + to[i] * m + begin, end - begin) += array(pr + i * m + begin, end - begin);
      }
    });
  });
}

void add_rows(const Tensor& x, const Tensor& index, const Tensor& rows, const Tensor& y) {
  copy(x, y);
  const std::int64_t m = x.cols();
  const auto* to = index.data<std::int32_t>();
  visit_real(x.dtype(), "add_rows", [&]<typename T>(T) {
    const T* pr = rows.data<T>();
    T* py = y.data<T>();
    for_rows(rows.rows(), m, [&](std::int64_t i) { array(py + to[i] * m, m) += array(pr + i * m, m); });
  });
}

void segment_mean(const Tensor& x, const Tensor& offsets, const Tensor& y) {
  const std::int64_t m = x.cols();
  const auto* offset = offsets.data<std::int32_t>();
  visit_real(x.dtype(), "segment_mean", [&]<typename T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for_columns(x.rows(), m, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t s = 0; s < y.rows(); ++s) {
        auto mean = array(py + s * m + begin, end - begin);
        mean.setZero();
        for (std::int64_t i = offset[s]; i < offset[s + 1]; ++i) mean += array(px + i * m + begin, end - begin);
        if (offset[s + 1] > offset[s]) mean /= static_cast<T>(offset[s + 1] - offset[s]);
      }
    });
  });
}

void segment_mean_backward(const Tensor& dy, const Tensor& offsets, const Tensor& dx) {
  const std::int64_t m = dy.cols();
  const auto* offset = offsets.data<std::int32_t>();
  visit_real(dy.dtype(), "segment_mean_backward", [&]<typename T>(T) {
    const T* pdy = dy.data<T>();
    T* pdx = dx.data<T>();
    for_each_piece(dy.rows(), 1, [&](std::int64_t s, std::int64_t) {
      const T share = T{1} / static_cast<T>(std::max(1, offset[s + 1] - offset[s]));
      for (std::int64_t i = offset[s]; i < offset[s + 1]; ++i) array(pdx + i * m, m) = share * array(pdy + s * m, m);
    });
  });
}

}  // namespace csreft::cpu
