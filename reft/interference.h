// Measures of how subspaces share, or do not share, the work and the space.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor/tensor.h"

namespace csreft {

// Normalised mutual information of two labellings from their contingency table counts[a][b]: I(A; B) divided by the
// arithmetic mean of H(A) and H(B) (Strehl and Ghosh 2002, with scikit-learn's mean). 1: each label determines the
// other; 0: they are independent, or one of them is the same everywhere.
double normalised_mutual_information(std::span<const std::vector<std::int64_t>> counts);

// The share of subspaces that are dead: a mean gate under `threshold` over all examples, given the mean gates [k] of
// each task and its number of examples. The first `shared`, which no gate is decided about, do not count.
double dead_share(std::span<const std::vector<double>> mean_gates, std::span<const std::int64_t> examples,
                  std::int64_t shared = 0, double threshold = 0.01);

// What the three measures say of one router.
struct RouterMeasures {
  double normalised_mutual_information = 0.0;  // of task and most probable gate
  double dead_share = 0.0;
  double mean_overlap = 0.0;
};

// How far subspaces i and j lie in each other, |Q_i Q_j^T|_F^2 / r, in the mean over places: f64 [k, k], 1 on the
// diagonal, 0 where they are orthogonal. bases: [k r, d] of each place, any matrices of full rank: rows of Q_i are an
// orthonormal basis (QR) of what the i-th r rows span.
Tensor subspace_overlap(std::span<const Tensor> bases, std::int64_t k);
// The principal angles between what the rows of `a` [m, d] and of `b` [n, d], of full rank, span, in radians, rising:
// min(m, n) of them, 0 to pi/2 (Bjorck and Golub 1973, by cosines and sines, so that small ones are exact, too). Throws
// Error for matrices of another width.
std::vector<double> principal_angles(const Tensor& a, const Tensor& b);

// The mean of its elements off the diagonal; 0 for one subspace.
double mean_overlap(const Tensor& overlap);

}  // namespace csreft
