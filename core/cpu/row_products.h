// x W^T for a few rows of x: W is read once, as it is stored, and nothing of it is written.
#pragma once

#include <cstdint>

#include "core/tensor/stored_matrix.h"

namespace csreft::cpu {

// Whether rows of this form are multiplied as they are.
bool has_row_products(RowForm form);

// Up to this many rows of x that is faster than to decode W and to multiply in f32 (measured on Zen 3).
inline constexpr std::int64_t max_row_products = 16;

// y [n, out] = x [n, in] W^T, x and y f32, W of a form that has_row_products. The elements of W are those that decoding
// gives, sums are f32.
void multiply_stored_rows(const Tensor& x, const StoredMatrix& w, const Tensor& y);

}  // namespace csreft::cpu
