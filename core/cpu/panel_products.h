// Products with a stored matrix for any number of rows: a panel of it at a time is decoded to f32 and multiplied.
#pragma once

#include "core/tensor/stored_matrix.h"

namespace csreft::cpu {

// y [n, out] = x [n, in] W^T, x and y f32. Each thread decodes and multiplies panels of its own, which stay in its
// cache; decoding costs a few hundredths of the product of some hundred rows.
void multiply_panels(const Tensor& x, const StoredMatrix& w, const Tensor& y);
// sum [n, in] = y [n, out] W, or += that.
void multiply_panels_transposed(const Tensor& y, const StoredMatrix& w, bool accumulate, const Tensor& sum);

}  // namespace csreft::cpu
