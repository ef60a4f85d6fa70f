// What a Riemannian optimizer knows of a manifold of matrices, and how a stack of points is taken apart.
//
// A parameter of shape [k r, d] may be k points of r rows each, one above the other (block_rows = r: each on a manifold
// of its own) or a single point (block_rows = k r).
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <vector>

#include "core/ops/ops.h"

namespace csreft {

// The metric and the retraction of a step that core/ops/ops.h makes by itself, wherever the point lies.
struct StiefelPrimitive {
  ops::StiefelMetric metric;
  ops::StiefelRetraction retraction;
};

// Functions of one point, a f64 tensor [r, d] on the host, and of vectors of the same shape; each returns a new tensor.
// A plain value, to be kept and copied; another manifold is another set of these functions.
struct Manifold {
  // The gradient under the manifold's metric, a tangent vector, from the matrix of partial derivatives.
  Tensor (*gradient)(const Tensor& point, const Tensor& derivatives);
  // Orthogonal projection onto the tangent space at `point`.
  Tensor (*project)(const Tensor& point, const Tensor& vector);
  // A point near point + tangent.
  Tensor (*retract)(const Tensor& point, const Tensor& tangent);
  // A tangent vector of another point, carried to `to`.
  Tensor (*transport)(const Tensor& to, const Tensor& tangent);
  // Inner product of two tangent vectors.
  double (*inner)(const Tensor& point, const Tensor& u, const Tensor& v);
  // How far `point` is from the manifold: the largest absolute violation of a constraint.
  double (*error)(const Tensor& point);
  // The same as one primitive, if there is one: optimizers then make their steps with it, on the point's device.
  std::optional<StiefelPrimitive> primitive = {};
};

// The number of blocks of `stack` [k block_rows, d]. Throws Error unless block_rows > 0 divides the number of rows.
std::int64_t count_blocks(const Tensor& stack, std::int64_t block_rows);

// The functions of Manifold for a stack of blocks on the host, f32 or f64 [k block_rows, d]: computed in f64, returned
// in the type of R. Each block is computed by one thread, so results do not depend on the number of threads.
Tensor riemannian_gradient(const Manifold& manifold, const Tensor& R, const Tensor& G, std::int64_t block_rows);
// project and retract are for work with a stack outside of an optimizer: vectors made tangent, a step along a curve.
Tensor project(const Manifold& manifold, const Tensor& R, const Tensor& U, std::int64_t block_rows);
Tensor retract(const Manifold& manifold, const Tensor& R, const Tensor& xi, std::int64_t block_rows);
// The largest error of the blocks.
double manifold_error(const Manifold& manifold, const Tensor& R, std::int64_t block_rows);

// Calls visit(block) for each of n blocks, in parallel if a block has enough work for that. `elements` is the size of a
// block's matrices. All blocks are visited even if some of them throw; then the first one's exception, in the order of
// blocks, is thrown.
template <typename Visit>
void for_each_block(std::int64_t n, std::int64_t elements, Visit&& visit) {
  constexpr std::int64_t parallel_threshold = 1 << 12;
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(n));
#pragma omp parallel for schedule(static) if (n > 1 && elements >= parallel_threshold)
  for (std::int64_t block = 0; block < n; ++block) {
    try {
      visit(block);
    } catch (...) {
      thrown[static_cast<std::size_t>(block)] = std::current_exception();
    }
  }
  for (const auto& exception : thrown) {
    if (exception) std::rethrow_exception(exception);
  }
}

// Rows of block `block` of a stack in f64: a copy, or a view if the stack is f64.
Tensor block_of(const Tensor& stack, std::int64_t block, std::int64_t block_rows);
// Writes the f64 `values` into block `block` of a stack, rounded to the stack's type.
void assign_block(const Tensor& stack, std::int64_t block, std::int64_t block_rows, const Tensor& values);

}  // namespace csreft
