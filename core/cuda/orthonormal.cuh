// Dense algebra on a few rows of doubles by one block: products, LQ factors, singular values. Matrices are row-major;
// each function ends with its results seen by the whole block. A lane of a warp has the columns of its own number,
// modulo 32, wherever a warp works on rows.
#pragma once

#include "core/cuda/reduce.cuh"

namespace csreft::cuda {

inline __device__ unsigned lane_index() { return threadIdx.x % warp_threads; }
inline __device__ unsigned warp_index() { return threadIdx.x / warp_threads; }
inline __device__ unsigned warps_of_block() { return blockDim.x / warp_threads; }

// out [r, r] = X Y^T for X, Y [r, n]: a warp an element.
template <typename X, typename Y>
__device__ void row_products(const X* x, const Y* y, unsigned r, std::int64_t n, double* out) {
  for (unsigned e = warp_index(); e < r * r; e += warps_of_block()) {
    const X* a = x + e / r * n;
    const Y* b = y + e % r * n;
    double sum = 0;
    for (std::int64_t c = lane_index(); c < n; c += warp_threads) {
      sum += static_cast<double>(a[c]) * static_cast<double>(b[c]);
    }
    sum = reduce_lanes(sum, warp_threads, Add{});
    if (lane_index() == 0) out[e] = sum;
  }
  __syncthreads();
}

// f(i, j) for the elements of a matrix of r rows of n.
template <typename F>
__device__ void for_matrix(unsigned r, std::int64_t n, const F& f) {
  for (std::int64_t e = threadIdx.x; e < r * n; e += blockDim.x) f(e / n, e % n);
  __syncthreads();
}

// row [begin, n) becomes its reflection (I - tau v v^T) row; by one warp.
inline __device__ void reflect(const double* v, double tau, std::int64_t begin, std::int64_t n, double* row) {
  std::int64_t first = begin / warp_threads * warp_threads + lane_index();
  if (first < begin) first += warp_threads;
  double product = 0;
  for (std::int64_t c = first; c < n; c += warp_threads) product += v[c] * row[c];
  product = tau * reduce_lanes(product, warp_threads, Add{});
  for (std::int64_t c = first; c < n; c += warp_threads) row[c] -= product * v[c];
}

// Y = L Q for Y [r, n], r <= n, by Householder reflections: Q [r, n] is orthonormal whatever Y's rank. L's diagonal,
// not negative once Q's rows have taken its signs, is left in `diagonal` with those signs, L without them below Y's
// diagonal, and the reflections' vectors in the rest of Y. diagonal, tau [r].
inline __device__ void factor_lq(double* Y, unsigned r, std::int64_t n, double* Q, double* diagonal, double* tau,
                                 double* scratch) {
  for (unsigned j = 0; j < r; ++j) {
    double* v = Y + j * n;
    double sum = 0;
    for (std::int64_t c = j + threadIdx.x; c < n; c += blockDim.x) sum += v[c] * v[c];
    const double norm = sqrt(reduce_block(sum, scratch, Add{}));
    if (threadIdx.x == 0) {
      const double head = v[j];
      diagonal[j] = head > 0 ? -norm : norm;
      tau[j] = norm > 0 ? 1 / (norm * (norm + fabs(head))) : 0;
      v[j] = head - diagonal[j];
    }
    __syncthreads();
    for (unsigned i = j + 1 + warp_index(); i < r; i += warps_of_block()) reflect(v, tau[j], j, n, Y + i * n);
    __syncthreads();
  }
  for (unsigned i = warp_index(); i < r; i += warps_of_block()) {
    double* q = Q + i * n;
    for (std::int64_t c = lane_index(); c < n; c += warp_threads) q[c] = c != i ? 0 : (diagonal[i] < 0 ? -1 : 1);
    for (unsigned j = i + 1; j-- > 0;) reflect(Y + j * n, tau[j], j, n, q);
  }
  __syncthreads();
}

// One rotation of rows p and q of B, which P takes part in; true if there was something to rotate. By one warp.
inline __device__ bool rotate_rows(double* B, double* P, unsigned r, unsigned p, unsigned q) {
  constexpr double orthogonal = 1e-15;
  double pp = 0, qq = 0, pq = 0;
  for (unsigned c = lane_index(); c < r; c += warp_threads) {
    pp += B[p * r + c] * B[p * r + c];
    qq += B[q * r + c] * B[q * r + c];
    pq += B[p * r + c] * B[q * r + c];
  }
  pp = reduce_lanes(pp, warp_threads, Add{});
  qq = reduce_lanes(qq, warp_threads, Add{});
  pq = reduce_lanes(pq, warp_threads, Add{});
  const bool swap = pp<qq, oblique = fabs(pq)> orthogonal * sqrt(pp) * sqrt(qq);
  if (!swap && !oblique) return false;
  double cosine = 1, sine = 0;
  if (oblique) {
    const double zeta = fabs(qq - pp) / (2 * fabs(pq));
    const double tangent = (pq < 0 ? 1 : -1) / (zeta + sqrt(1 + zeta * zeta));
    cosine = 1 / sqrt(1 + tangent * tangent);
    sine = cosine * tangent;
  }
  const auto rotate = [&](double* M) {
    for (unsigned c = lane_index(); c < r; c += warp_threads) {
      const double x = M[(swap ? q : p) * r + c], y = M[(swap ? p : q) * r + c];
      M[p * r + c] = cosine * x - sine * y;
      M[q * r + c] = sine * x + cosine * y;
    }
  };
  rotate(B);
  rotate(P);
  return true;
}

// P B = S V for B [r, r]: P and V orthogonal, the singular values |sigma| falling, whatever B's rank (Hestenes 1958). B
// is used up; sigma, tau [r].
inline __device__ void factor_svd(double* B, unsigned r, double* P, double* V, double* sigma, double* tau,
                                  double* scratch) {
  constexpr int max_sweeps = 40;
  if (warp_index() == 0) {
    for (unsigned i = 0; i < r; ++i) {
      for (unsigned c = lane_index(); c < r; c += warp_threads) P[i * r + c] = c == i ? 1 : 0;
    }
    bool rotated = true;
    for (int sweep = 0; rotated && sweep < max_sweeps; ++sweep) {
      rotated = false;
      for (unsigned p = 0; p + 1 < r; ++p) {
        for (unsigned q = p + 1; q < r; ++q) rotated = rotate_rows(B, P, r, p, q) || rotated;
      }
    }
  }
  __syncthreads();
  // B's rows are orthogonal now, and L diagonal; where a singular value is 0, V is completed.
  factor_lq(B, r, r, V, sigma, tau, scratch);
}

}  // namespace csreft::cuda
