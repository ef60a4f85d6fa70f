// Gradients, retractions and optimizer steps on the Stiefel manifold: one thread block per point, all points of some
// thirty stacks in one launch. Arithmetic is in double; matrices of a point's size lie in the device's memory, those of
// r x r in shared memory while that holds them.
#include "core/cuda/ops.h"
#include "core/cuda/orthonormal.cuh"
#include "core/cuda/tensors.cuh"

namespace csreft::cuda {
namespace {

using ops::StiefelMetric, ops::StiefelRetraction;

enum class Task { gradient, retract, step };

// A stack of points and what is done with them: `in` is G or xi, `out` the gradient or the next point.
template <typename T>
struct Stack {
  const T *R, *in;
  T *out, *m;
  double* v;
  std::int64_t points, r, d;
  ops::StiefelFactors factors;
  double* scratch = nullptr;
  std::int64_t scratch_size = 0;  // of a point
};

constexpr std::int64_t wide_matrices = 4;  // [r, d], of a point
constexpr std::int64_t square_size(std::int64_t r) { return 6 * r * r + 2 * r; }

// A point, and what its block works with.
template <typename T>
struct Point {
  const T* R;
  unsigned r;
  std::int64_t d;
  double *M, *Y, *Q, *Z;               // [r, d]
  double *A, *B, *P, *V, *p, *K;       // [r, r]
  double *diagonal, *tau, *reduction;  // [r], [r], for reduce_block
};

// sum over k of a(k) x[k, c], x [r, n].
template <typename A, typename X>
__device__ double row_times(const A& a, const X* x, unsigned r, std::int64_t n, std::int64_t c) {
  double sum = 0;
  for (unsigned k = 0; k < r; ++k) sum += a(k) * static_cast<double>(x[k * n + c]);
  return sum;
}

// The rows of Y made orthonormal, the nearest such matrix, in its place: Y = L Q and P L = S V, so that is P^T V Q.
template <typename T>
__device__ const double* polar_factor(const Point<T>& w) {
  const unsigned r = w.r;
  factor_lq(w.Y, r, w.d, w.Q, w.diagonal, w.tau, w.reduction);
  for_matrix(r, r, [&](std::int64_t i, std::int64_t j) {
    const double L = j < i ? w.Y[i * w.d + j] : j == i ? w.diagonal[j] : 0;
    w.B[i * r + j] = w.diagonal[j] < 0 ? -L : L;
  });
  factor_svd(w.B, r, w.P, w.V, w.diagonal, w.tau, w.reduction);
  for_matrix(r, r, [&](std::int64_t i, std::int64_t j) {
    w.A[i * r + j] = row_times([&](unsigned k) { return w.P[k * r + i]; }, w.V, r, r, j);
  });
  for_matrix(r, w.d, [&](std::int64_t i, std::int64_t c) {
    w.Y[i * w.d + c] = row_times([&](unsigned k) { return w.A[i * r + k]; }, w.Q, r, w.d, c);
  });
  return w.Y;
}

// The polar factor of a Y that is orthonormal but for rounding: one Newton-Schulz step squares the error. A Y spoilt by
// an ill-conditioned system takes the long way.
template <typename T>
__device__ const double* orthonormalised(const Point<T>& w) {
  constexpr double newton_is_exact = 1e-8;  // its square is below the rounding of a double
  const unsigned r = w.r;
  row_products(w.Y, w.Y, r, w.d, w.A);
  const auto error = [&](unsigned i, unsigned j) { return (i == j ? 1 : 0) - w.A[i * r + j]; };
  int spoilt = 0;
  for (unsigned e = threadIdx.x; e < r * r; e += blockDim.x) {
    if (!(fabs(error(e / r, e % r)) < newton_is_exact)) spoilt = 1;
  }
  if (reduce_block(static_cast<double>(spoilt), w.reduction, Max{}) > 0) return polar_factor(w);
  for_matrix(r, w.d, [&](std::int64_t i, std::int64_t c) {
    const auto half_error = [&](unsigned k) { return 0.5 * error(static_cast<unsigned>(i), k); };
    w.Q[i * w.d + c] = w.Y[i * w.d + c] + row_times(half_error, w.Y, r, w.d, c);
  });
  return w.Q;
}

// p = (K^2 + C/4)^-1 by singular values: a step of 1e8 or more makes that matrix singular to rounding. Needs C in V.
template <typename T>
__device__ void solve_cayley(const Point<T>& w) {
  const unsigned r = w.r;
  for_matrix(r, r, [&](std::int64_t i, std::int64_t j) {
    w.B[i * r + j] = 0.25 * w.V[i * r + j] + row_times([&](unsigned k) { return w.K[i * r + k]; }, w.K, r, r, j);
  });
  factor_svd(w.B, r, w.P, w.V, w.diagonal, w.tau, w.reduction);
  const double smallest = 1e-15 * fabs(w.diagonal[0]);
  for_matrix(r, r, [&](std::int64_t i, std::int64_t j) {
    const auto scaled = [&](unsigned k) {
      const double sigma = fabs(w.diagonal[k]);
      return sigma > smallest ? w.V[k * r + i] / sigma : 0;
    };
    w.p[i * r + j] = row_times(scaled, w.P, r, r, j);
  });
}

// The Cayley transform of xi = length M, as core/cpu/stiefel.cpp derives it: S = (A - A^T) / 2 with A = xi R^T, Z = xi
// - (A - S/2) R, K = I + S/4, C = Z Z^T, p = (K^2 + C/4)^-1, q = 2 (K p - I), Y = R + p^T Z + q^T R.
template <typename T>
__device__ const double* cayley(const Point<T>& w, double length) {
  const unsigned r = w.r;
  row_products(w.M, w.R, r, w.d, w.A);
  for_matrix(r, r, [&](std::int64_t i, std::int64_t j) {
    const double a = length * w.A[i * r + j], half = 0.5 * (a - length * w.A[j * r + i]);
    w.B[i * r + j] = a - 0.5 * half;
    w.K[i * r + j] = (i == j ? 1 : 0) + 0.25 * half;
  });
  for_matrix(r, w.d, [&](std::int64_t i, std::int64_t c) {
    const auto normal_part = [&](unsigned k) { return w.B[i * r + k]; };
    w.Z[i * w.d + c] = length * w.M[i * w.d + c] - row_times(normal_part, w.R, r, w.d, c);
  });
  row_products(w.Z, w.Z, r, w.d, w.V);
  solve_cayley(w);
  for_matrix(r, r, [&](std::int64_t i, std::int64_t j) {
    const double Kp = row_times([&](unsigned k) { return w.K[i * r + k]; }, w.p, r, r, j);
    w.A[i * r + j] = 2 * (Kp - (i == j ? 1 : 0));
  });
  for_matrix(r, w.d, [&](std::int64_t i, std::int64_t c) {
    w.Y[i * w.d + c] = static_cast<double>(w.R[i * w.d + c]) +
                       row_times([&](unsigned k) { return w.p[k * r + i]; }, w.Z, r, w.d, c) +
                       row_times([&](unsigned k) { return w.A[k * r + i]; }, w.R, r, w.d, c);
  });
  return orthonormalised(w);
}

// The point that xi = length M leads to, [r, d] in one of the block's matrices other than M.
template <typename T>
__device__ const double* retract(const Point<T>& w, double length, StiefelRetraction retraction) {
  if (retraction == StiefelRetraction::cayley) return cayley(w, length);
  for_matrix(w.r, w.d, [&](std::int64_t i, std::int64_t c) {
    const std::int64_t e = i * w.d + c;
    w.Y[e] = static_cast<double>(w.R[e]) + length * w.M[e];
  });
  if (retraction == StiefelRetraction::polar) return polar_factor(w);
  factor_lq(w.Y, w.r, w.d, w.Q, w.diagonal, w.tau, w.reduction);
  return w.Q;
}

// write(e, x) with element e of the gradient x = G - a R at the point `R`: a = sym(G R^T), or R G^T.
template <typename T, typename X, typename Y, typename Write>
__device__ void gradient(const Point<T>& w, const X* R, const Y* G, StiefelMetric metric, const Write& write) {
  const unsigned r = w.r;
  row_products(G, R, r, w.d, w.A);
  for_matrix(r, w.d, [&](std::int64_t i, std::int64_t c) {
    const auto a = [&](unsigned k) {
      const double transposed = w.A[k * r + i];
      return metric == StiefelMetric::canonical ? transposed : 0.5 * (w.A[i * r + k] + transposed);
    };
    write(i * w.d + c, static_cast<double>(G[i * w.d + c]) - row_times(a, R, r, w.d, c));
  });
}

// <x, x> of a gradient whose squares add up to `sum` over the threads. Canonical: |x|^2 - |x R^T|^2 / 2, and x R^T is
// G R^T - R G^T.
template <typename T>
__device__ double squared_length(const Point<T>& w, double sum, StiefelMetric metric) {
  const unsigned r = w.r;
  if (metric == StiefelMetric::canonical) {
    for (unsigned e = threadIdx.x; e < r * r; e += blockDim.x) {
      const double skew = w.A[e] - w.A[e % r * r + e / r];
      sum -= 0.5 * skew * skew;
    }
  }
  return reduce_block(sum, w.reduction, Add{});
}

template <typename T>
__device__ void step(const Point<T>& w, const Stack<T>& stack, std::int64_t point) {
  const ops::StiefelFactors& f = stack.factors;
  const std::int64_t first = point * w.r * w.d;
  T* const m = stack.m + first;
  double squares = 0;
  gradient(w, w.R, stack.in + first, f.metric, [&](std::int64_t e, double x) {
    w.M[e] = f.momentum * static_cast<double>(m[e]) + f.gradient_factor * x;
    squares += x * x;
  });
  double length = f.step_size;
  if (stack.v != nullptr) {
    const double v = f.beta2 * stack.v[point] + (1 - f.beta2) * squared_length(w, squares, f.metric);
    length = f.step_size / (sqrt(v) * f.root_correction + f.eps);
    __syncthreads();
    if (threadIdx.x == 0) stack.v[point] = v;
  }
  const double* next = retract(w, -length, f.retraction);
  gradient(w, next, w.M, StiefelMetric::euclidean, [&](std::int64_t e, double x) { m[e] = static_cast<T>(x); });
  for (std::int64_t e = threadIdx.x; e < w.r * w.d; e += blockDim.x) stack.out[first + e] = static_cast<T>(next[e]);
}

// The matrices of a point, in scratch memory and, if it is there, in shared memory.
template <typename T>
__device__ Point<T> point_of(const Stack<T>& stack, std::int64_t point, double* shared, double* reduction) {
  const auto r = static_cast<unsigned>(stack.r);
  const std::int64_t size = stack.r * stack.d, square = stack.r * stack.r;
  double* const wide = stack.scratch + point * stack.scratch_size;
  double* const small = shared != nullptr ? shared : wide + wide_matrices * size;
  return {stack.R + point * size,
          r,
          stack.d,
          wide,
          wide + size,
          wide + 2 * size,
          wide + 3 * size,
          small,
          small + square,
          small + 2 * square,
          small + 3 * square,
          small + 4 * square,
          small + 5 * square,
          small + 6 * square,
          small + 6 * square + r,
          reduction};
}

template <Task task, typename T>
__global__ void stiefel_kernel(TensorList<Stack<T>> list, bool in_shared) {
  CSREFT_SHARED(WarpValues<double>, reduction);
  CSREFT_DYNAMIC_SHARED(double, shared);
  const BlockPlace place = block_place(list);
  const Stack<T> stack = list.items[place.tensor];
  const std::int64_t point = place.block, first = point * stack.r * stack.d;
  const Point<T> w = point_of(stack, point, in_shared ? shared : nullptr, reduction);
  T* const out = stack.out + first;
  if constexpr (task == Task::gradient) {
    gradient(w, w.R, stack.in + first, stack.factors.metric,
             [&](std::int64_t e, double x) { out[e] = static_cast<T>(x); });
  } else if constexpr (task == Task::retract) {
    for (std::int64_t e = threadIdx.x; e < w.r * w.d; e += blockDim.x)
      w.M[e] = static_cast<double>(stack.in[first + e]);
    __syncthreads();
    const double* next = retract(w, 1, stack.factors.retraction);
    for (std::int64_t e = threadIdx.x; e < w.r * w.d; e += blockDim.x) out[e] = static_cast<T>(next[e]);
  } else {
    step(w, stack, point);
  }
}

// Starts the task for stacks of one type, which get their scratch memory here.
template <Task task, typename T>
void start(const Tensor& R, std::vector<Stack<T>> stacks) {
  constexpr std::int64_t always_allowed = 48 * 1024, fixed = sizeof(WarpValues<double>);
  std::erase_if(stacks, [](const Stack<T>& stack) { return stack.points == 0; });
  std::int64_t shared = 0, scratch_size = 0;
  for (const Stack<T>& stack : stacks) {
    shared = std::max(shared, square_size(stack.r) * static_cast<std::int64_t>(sizeof(double)));
  }
  const bool in_shared = shared + fixed <= always_allowed;
  for (Stack<T>& stack : stacks) {
    stack.scratch_size = wide_matrices * stack.r * stack.d + (in_shared ? 0 : square_size(stack.r));
    scratch_size += stack.points * stack.scratch_size;
  }
  const Tensor scratch = Tensor::empty({scratch_size}, DType::f64, R.device());
  double* next = elements<double>(scratch);
  for (Stack<T>& stack : stacks) {
    stack.scratch = next;
    next += stack.points * stack.scratch_size;
  }
  const auto count = [](const Stack<T>& stack) { return static_cast<unsigned>(stack.points); };
  for_tensor_lists(stacks, count, [&](const TensorList<Stack<T>>& list, unsigned blocks) {
    launch(stiefel_kernel<task, T>, dim3(blocks), dim3(block_threads), in_shared ? static_cast<std::size_t>(shared) : 0,
           context(R).stream, list, in_shared);
  });
}

template <typename T>
Stack<T> stack_of(const Tensor& R, const Tensor& in, const Tensor& out, std::int64_t block_rows) {
  return {.R = elements<const T>(R),
          .in = elements<const T>(in),
          .out = elements<T>(out),
          .m = nullptr,
          .v = nullptr,
          .points = R.rows() / block_rows,
          .r = block_rows,
          .d = R.cols(),
          .factors = {}};
}

}  // namespace

void stiefel_gradient(const Tensor& R, const Tensor& G, std::int64_t block_rows, ops::StiefelMetric metric,
                      const Tensor& X) {
  visit_real(R.dtype(), "stiefel_gradient", [&]<typename T>(T) {
    Stack<T> stack = stack_of<T>(R, G, X, block_rows);
    stack.factors.metric = metric;
    start<Task::gradient, T>(R, {stack});
  });
}

void stiefel_retract(const Tensor& R, const Tensor& xi, std::int64_t block_rows, ops::StiefelRetraction retraction,
                     const Tensor& Y) {
  visit_real(R.dtype(), "stiefel_retract", [&]<typename T>(T) {
    Stack<T> stack = stack_of<T>(R, xi, Y, block_rows);
    stack.factors.retraction = retraction;
    start<Task::retract, T>(R, {stack});
  });
}

void stiefel_step(std::span<const ops::StiefelUpdate> updates) {
  const Tensor& first = updates.front().R;
  visit_real(first.dtype(), "stiefel_step_", [&]<typename T>(T) {
    std::vector<Stack<T>> stacks;
    for (const auto& [R, G, m, v, block_rows, factors] : updates) {
      stacks.push_back(stack_of<T>(R, G, R, block_rows));
      stacks.back().m = elements<T>(m);
      stacks.back().v = v.defined() ? elements<double>(v) : nullptr;
      stacks.back().factors = factors;
    }
    start<Task::step, T>(first, stacks);
  });
}

}  // namespace csreft::cuda
