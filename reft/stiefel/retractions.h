// Retractions of the Stiefel manifold: maps from a point and a tangent vector to a point, R(0) = R, that agree with
// R + xi to first order (Absil, Mahony and Sepulchre, "Optimization Algorithms on Matrix Manifolds", 2008,
// section 4.1).
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "core/ops/ops.h"

namespace csreft {

struct Retraction {
  std::string_view name;
  std::string_view summary;  // for --help
  // R and xi: f64 [r, d], r <= d, R R^T = I, xi tangent at R. Returns a new point [r, d], orthonormal to a few ulp
  // however long xi is. qr and polar take any R + xi; cayley ignores a normal part of xi.
  Tensor (*apply)(const Tensor& R, const Tensor& xi);
  // Which of the primitive's it is, if core/ops/ops.h has it: optimizer steps with it stay on the device. With another,
  // the point makes the way to the host and back.
  std::optional<ops::StiefelRetraction> primitive = {};
};

// R + xi = L Q with L lower triangular and its diagonal positive; returns Q. In the transposed convention this is the
// qf of Absil et al., example 4.1.3. Also the way to orthonormalise the rows of any matrix: xi = 0.
Tensor retract_qr(const Tensor& R, const Tensor& xi);

// ((R + xi)(R + xi)^T)^(-1/2) (R + xi), the orthonormal matrix nearest to R + xi (Absil et al., example 4.1.3).
Tensor retract_polar(const Tensor& R, const Tensor& xi);

// R (I - S/2)^-1 (I + S/2) with the skew matrix S = R^T Z - Z^T R [d, d], Z = xi (I - R^T R / 2), transposed
// (Wen and Yin, "A feasible method for optimization with orthogonality constraints", 2013, eq. 7), computed with one
// r x r system by the Sherman-Morrison-Woodbury formula. Beyond |xi| of about 1e6 that system is too ill-conditioned
// for the value of the formula, and the result is only some point of the manifold.
Tensor retract_cayley(const Tensor& R, const Tensor& xi);

// The table: another retraction is a function of the above form and a line here.
std::span<const Retraction* const> retractions();
// Throws Error, listing the table's, for an unknown name.
const Retraction& find_retraction(std::string_view name);

}  // namespace csreft
