// A few rows times a large matrix: as fast as memory delivers the matrix.
#pragma once

#include "core/tensor.h"

namespace csreft::cpu {

// From more rows on a general matrix product is faster.
inline constexpr std::int64_t gemv_max_rows = 8;

// y = x w^T for x [n, in], n <= gemv_max_rows, w [out, in], y [n, out], all f32.
void gemv(const Tensor& x, const Tensor& w, const Tensor& y);

}  // namespace csreft::cpu
