// Optimizers' steps and the Stiefel manifold: what their arguments must be, and the call of a backend.
#include <algorithm>
#include <vector>

#include "core/ops/dispatch.h"

namespace csreft::ops {

namespace {

// Gives the updates whose tensor `written` has one type and one device to the primitive there, together.
template <typename Update>
void for_alike(std::span<const Update> updates, Tensor Update::*written,
               void (*Backend::*primitive)(std::span<const Update>)) {
  std::vector<Update> left(updates.begin(), updates.end());
  while (!left.empty()) {
    const Tensor first = left.front().*written;
    const auto other = std::ranges::stable_partition(left, [&](const Update& update) {
      return (update.*written).dtype() == first.dtype() && (update.*written).device() == first.device();
    });
    backend(first, primitive)(std::span(left.begin(), other.begin()));
    left.erase(left.begin(), other.begin());
  }
}

}  // namespace

void adamw_(std::span<const AdamWUpdate> updates) {
  for (const auto& [w, g, m, v, factors] : updates) {
    checks::real("adamw_", "w", w);
    checks::like("adamw_", "g", g, w.shape(), w);
    checks::like("adamw_", "m", m, w.shape(), w);
    checks::like("adamw_", "v", v, w.shape(), w);
  }
  for_alike(updates, &AdamWUpdate::w, &Backend::adamw);
}

void momentum_sgd_(const Tensor& w, const Tensor& g, const Tensor& m, const SgdFactors& factors) {
  checks::real("momentum_sgd_", "w", w);
  checks::like("momentum_sgd_", "g", g, w.shape(), w);
  checks::like("momentum_sgd_", "m", m, w.shape(), w);
  backend(w, &Backend::momentum_sgd)(g, factors, m, w);
}

// ---- the Stiefel manifold -------------------------------------------------------------------------------------------

namespace {

void check_stack(std::string_view op, const Tensor& R, std::int64_t block_rows) {
  checks::real_matrix(op, "R", R);
  require(block_rows > 0 && R.rows() % block_rows == 0 && block_rows <= R.cols(),
          "{}: R is [{}, {}] in blocks of {} rows, expected a multiple of the block's rows, which are at most {}", op,
          R.rows(), R.cols(), block_rows, R.cols());
}

}  // namespace

Tensor stiefel_gradient(const Tensor& R, const Tensor& G, std::int64_t block_rows, StiefelMetric metric) {
  check_stack("stiefel_gradient", R, block_rows);
  checks::like("stiefel_gradient", "G", G, R.shape(), R);
  Tensor X = empty_like(R);
  backend(R, &Backend::stiefel_gradient)(R, G, block_rows, metric, X);
  return X;
}

Tensor stiefel_retract(const Tensor& R, const Tensor& xi, std::int64_t block_rows, StiefelRetraction retraction) {
  check_stack("stiefel_retract", R, block_rows);
  checks::like("stiefel_retract", "xi", xi, R.shape(), R);
  Tensor Y = empty_like(R);
  backend(R, &Backend::stiefel_retract)(R, xi, block_rows, retraction, Y);
  return Y;
}

void stiefel_step_(std::span<const StiefelUpdate> updates) {
  constexpr std::string_view op = "stiefel_step_";
  for (const auto& [R, G, m, v, block_rows, factors] : updates) {
    check_stack(op, R, block_rows);
    checks::like(op, "G", G, R.shape(), R);
    checks::like(op, "m", m, R.shape(), R);
    require(!v.defined() ||
                (v.dtype() == DType::f64 && v.shape() == Shape{R.rows() / block_rows} && v.device() == R.device()),
            "{}: v does not fit {} blocks: expected f64 [{}] on {}", op, R.rows() / block_rows, R.rows() / block_rows,
            to_string(R.device()));
  }
  for_alike(updates, &StiefelUpdate::R, &Backend::stiefel_step);
}

}  // namespace csreft::ops
