// Products of small matrices inside one thread, in the processor's vectors: what attention and a matrix times a few
// rows are made of. Larger products are oneDNN's.
#pragma once

#include <array>
#include <cstdint>
#include <experimental/simd>
#include <utility>

namespace csreft::cpu {

template <typename T>
using Vector = std::experimental::native_simd<T>;

// A matrix whose element (i, j) is data[i * row + j * col].
template <typename T>
struct Strided {
  const T* data;
  std::int64_t row, col;
};

// c = a b, or c += a b, for `rows` rows and `vectors` vectors of columns: the sums stay in registers.
template <typename V, std::size_t rows, std::size_t vectors, typename T>
void multiply_block(std::int64_t k, Strided<T> a, const T* b, std::int64_t b_stride, bool accumulate, T* c,
                    std::int64_t c_stride) {
  constexpr auto aligned = std::experimental::element_aligned;
  constexpr std::size_t lanes = V::size();
  std::array<std::array<V, vectors>, rows> sums{};
  if (accumulate) {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < vectors; ++j) {
        sums[i][j].copy_from(c + static_cast<std::int64_t>(i) * c_stride + j * lanes, aligned);
      }
    }
  }
  for (std::int64_t l = 0; l < k; ++l) {
    std::array<V, vectors> b_row;
    for (std::size_t j = 0; j < vectors; ++j) b_row[j].copy_from(b + l * b_stride + j * lanes, aligned);
    for (std::size_t i = 0; i < rows; ++i) {
      const V factor(a.data[static_cast<std::int64_t>(i) * a.row + l * a.col]);
      for (std::size_t j = 0; j < vectors; ++j) sums[i][j] += factor * b_row[j];
    }
  }
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < vectors; ++j) {
      sums[i][j].copy_to(c + static_cast<std::int64_t>(i) * c_stride + j * lanes, aligned);
    }
  }
}

// The same for any number of rows: blocks of `rows`, then what is left.
template <typename V, std::size_t rows, std::size_t vectors, typename T>
void multiply_columns(std::int64_t m, std::int64_t k, Strided<T> a, const T* b, std::int64_t b_stride, bool accumulate,
                      T* c, std::int64_t c_stride) {
  constexpr auto step = static_cast<std::int64_t>(rows);
  std::int64_t i = 0;
  for (; i + step <= m; i += step) {
    multiply_block<V, rows, vectors>(k, {a.data + i * a.row, a.row, a.col}, b, b_stride, accumulate, c + i * c_stride,
                                     c_stride);
  }
  if constexpr (rows > 1) {
    if (i < m) {
      multiply_columns<V, rows / 2, vectors>(m - i, k, {a.data + i * a.row, a.row, a.col}, b, b_stride, accumulate,
                                             c + i * c_stride, c_stride);
    }
  }
}

// c [m, n] = a [m, k] b [k, n], or += : rows of b and c are contiguous. k, n some hundreds at most, so that b stays in
// the caches.
template <typename T>
void multiply(std::int64_t m, std::int64_t n, std::int64_t k, Strided<T> a, const T* b, std::int64_t b_stride,
              bool accumulate, T* c, std::int64_t c_stride) {
  using V = Vector<T>;
  using Scalar = std::experimental::simd<T, std::experimental::simd_abi::scalar>;
  // Twelve sums of two vectors and what they are made from fit 32 registers of 512 bits, six fit 16 of 256.
  constexpr std::size_t rows = V::size() * sizeof(T) == 64 ? 12 : 6;
  constexpr auto lanes = static_cast<std::int64_t>(V::size());
  std::int64_t j = 0;
  for (; j + 2 * lanes <= n; j += 2 * lanes) {
    multiply_columns<V, rows, 2>(m, k, a, b + j, b_stride, accumulate, c + j, c_stride);
  }
  for (; j + lanes <= n; j += lanes) {
    multiply_columns<V, rows, 1>(m, k, a, b + j, b_stride, accumulate, c + j, c_stride);
  }
  for (; j < n; ++j) multiply_columns<Scalar, rows, 1>(m, k, a, b + j, b_stride, accumulate, c + j, c_stride);
}

// y[i * y_stride] = the product of w [size] and row i of x, for n rows.
template <std::size_t n, typename T>
void dots(const T* w, const T* x, std::int64_t x_stride, std::int64_t size, T* y, std::int64_t y_stride) {
  using V = Vector<T>;
  constexpr auto aligned = std::experimental::element_aligned;
  constexpr auto lanes = static_cast<std::int64_t>(V::size());
  // Few rows have two sums each, so that an addition need not wait for the one before.
  constexpr std::int64_t sets = n <= 4 ? 2 : 1;
  std::array<std::array<V, sets>, n> sums{};
  std::int64_t j = 0;
  for (; j + sets * lanes <= size; j += sets * lanes) {
    for (std::int64_t set = 0; set < sets; ++set) {
      const V factor(w + j + set * lanes, aligned);
      for (std::size_t i = 0; i < n; ++i) {
        const T* row = x + static_cast<std::int64_t>(i) * x_stride + j + set * lanes;
        sums[i][static_cast<std::size_t>(set)] += factor * V(row, aligned);
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    const auto row = static_cast<std::int64_t>(i);
    if constexpr (sets == 2) sums[i][0] += sums[i][1];
    T total = std::experimental::reduce(sums[i][0]);
    for (std::int64_t l = j; l < size; ++l) total += w[l] * x[row * x_stride + l];
    y[row * y_stride] = total;
  }
}

inline constexpr std::int64_t max_dots = 8;

// The same for 1 <= n <= max_dots.
template <typename T>
void dots(std::int64_t n, const T* w, const T* x, std::int64_t x_stride, std::int64_t size, T* y,
          std::int64_t y_stride) {
  using Dots = void (*)(const T*, const T*, std::int64_t, std::int64_t, T*, std::int64_t);
  constexpr Dots by_rows[max_dots] = {dots<1, T>, dots<2, T>, dots<3, T>, dots<4, T>,
                                      dots<5, T>, dots<6, T>, dots<7, T>, dots<8, T>};
  by_rows[n - 1](w, x, x_stride, size, y, y_stride);
}

}  // namespace csreft::cpu
