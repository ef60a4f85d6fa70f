// What a Riemannian optimizer knows of the Stiefel manifold, as values: the metric, from which the gradient and the
// inner product of tangent vectors follow (ops::StiefelMetric), and the retraction, which leads back to the manifold
// (ops::StiefelRetraction). Vectors are transported to another point by projection on its tangent space.
// ops::stiefel_step_ does all of that for every point of many stacks at once, wherever they lie; stiefel.h checks that
// a point lies on the manifold.
#pragma once

#include <span>
#include <string_view>

#include "core/ops/ops.h"

namespace csreft {

struct Manifold {
  ops::StiefelMetric metric = ops::StiefelMetric::euclidean;
  ops::StiefelRetraction retraction = ops::StiefelRetraction::qr;
};

// Metrics: Edelman, Arias and Smith, "The geometry of algorithms with orthogonality constraints", 1998, section 2.4.
struct Metric {
  std::string_view name;
  std::string_view summary;
  ops::StiefelMetric metric;
};
std::span<const Metric> metrics();

// Maps from a point and a tangent vector to a point, R(0) = R, that agree with R + xi to first order (Absil, Mahony and
// Sepulchre, "Optimization Algorithms on Matrix Manifolds", 2008, section 4.1).
struct Retraction {
  std::string_view name;
  std::string_view summary;
  ops::StiefelRetraction retraction;
};
std::span<const Retraction> retractions();

// Throws Error, listing the names and suggesting the nearest, for an unknown metric or retraction.
Manifold find_manifold(std::string_view metric, std::string_view retraction);

}  // namespace csreft
