// The Stiefel manifold: matrices R [r, d], r <= d, with orthonormal rows, R R^T = I. (Most of the literature writes
// orthonormal columns, X = R^T.)
//
// A parameter of shape [k r, d] may be k points of r rows each, one above the other (block_rows = r: each on a manifold
// of its own) or a single point (block_rows = k r).
#pragma once

#include <cstdint>
#include <string_view>

#include "core/tensor/tensor.h"

namespace csreft {

// Throws Error unless `R` is an f32 or f64 matrix of blocks of block_rows rows, block_rows <= d; `what` names it.
void check_stiefel_stack(const Tensor& R, std::int64_t block_rows, std::string_view what);

// Points drawn uniformly (by the Haar measure): each block of a [rows, d] matrix of standard normal numbers, whose
// element i is drawn from element i of the stream, made orthonormal by QR. block_rows = rows gives one point.
Tensor random_stiefel(std::int64_t rows, std::int64_t d, std::int64_t block_rows, std::uint64_t seed,
                      std::uint64_t stream, const TensorOptions& tensors = {});

// Replaces each block of any matrix of full rank, in place, by the Q of its QR factors; on R's device.
void orthonormalise(Tensor& R, std::int64_t block_rows);

// Whether R lies on the manifold: the largest |R_i R_i^T - I| over all elements and blocks, NaN if one is. Computed in
// f64 on the host, wherever R lies.
double orthonormality_error(const Tensor& R, std::int64_t block_rows);

}  // namespace csreft
