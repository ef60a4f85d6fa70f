// A few rows times a large matrix: as fast as memory delivers the matrix.
#pragma once

#include <cstdint>

#include "core/tensor/tensor.h"

namespace csreft::cpu {

// Whether gemv is faster than a general matrix product for [rows, in] times [in, out]: up to four rows always, up to
// eight while they stay in the first-level cache (measured on Zen 3).
constexpr bool gemv_is_faster(std::int64_t rows, std::int64_t in) {
  constexpr std::int64_t cached = 6144;
  return rows <= 4 || (rows <= 8 && rows * in <= cached);
}

// y = x w^T for x [n, in], n <= 8, w [out, in], y [n, out], all f32.
void gemv(const Tensor& x, const Tensor& w, const Tensor& y);

}  // namespace csreft::cpu
