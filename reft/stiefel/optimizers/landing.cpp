#include <algorithm>
#include <cmath>

#include "core/ops/ops.h"
#include "reft/stiefel/optimizers/optimizer_rule.h"

namespace csreft {
namespace {

// Steps keep |R R^T - I| (Frobenius) below this.
constexpr double safe_distance = 0.5;

// The longest step along -F from a point at the distance d = |N|, N = R R^T - I, that stays within the safe distance,
// whatever the loss is (Ablin and Peyre 2022). F's part along the gradient leaves R R^T as it is to first order, so
// N' = N (I - 2 s lambda (I + N)) + s^2 F F^T, and |N'| <= (1 - 2 s lambda (1 - d)) d + s^2 |F|^2 for s up to
// 1 / (2 lambda). If rounding has left R beyond the safe distance: the step that makes this bound least.
double safe_step(double d, double squared_length, double lambda) {
  const double inward = lambda * d * (1.0 - d);
  const double root = std::sqrt(std::max(0.0, inward * inward + squared_length * (safe_distance - d)));
  return std::min((inward + root) / squared_length, 0.5 / lambda);
}

// R R^T - I of a point in f64, on its device.
Tensor violation(const Tensor& R) {
  Tensor I = Tensor::zeros({R.rows(), R.rows()}, DType::f64);
  for (std::int64_t i = 0; i < R.rows(); ++i) I.data<double>()[i * R.rows() + i] = 1.0;
  return ops::sub(ops::matmul(R, R, ops::Transpose::no, ops::Transpose::yes), I.to(R.device()));
}

// One step of a point R [r, d] with the matrix G of partial derivatives, in f64: the next point. With N = R R^T - I and
// B = R G^T, both [r, r], the landing field is F = ((I + N) G - B R) / 2 + lambda N R. The host waits for a device to
// know the field's length.
Tensor land(const Tensor& R, const Tensor& G, double lr, double lambda) {
  const Tensor N = violation(R), B = ops::matmul(R, G, ops::Transpose::no, ops::Transpose::yes);
  const Tensor F = ops::scale(G, 0.5);
  ops::matmul_add_(F, ops::scale(N, 0.5), G);
  ops::matmul_add_(F, ops::sub(ops::scale(N, lambda), ops::scale(B, 0.5)), R);
  const double squared_length = ops::squared_norm(F);
  if (squared_length == 0.0) return R;
  const double longest = safe_step(std::sqrt(ops::squared_norm(N)), squared_length, lambda);
  return ops::sub(R, ops::scale(F, std::min(lr, longest)));
}

// Calls visit(begin, end) for the rows of each point.
template <typename Visit>
void for_each_point(const OptimizerParameter& p, const Visit& visit) {
  for (std::int64_t row = 0; row < p.value.rows(); row += p.block_rows) visit(row, row + p.block_rows);
}

// The landing algorithm (Ablin and Peyre, "Fast and accurate optimization on the orthogonal manifold without
// retraction", 2022; for matrices that are not square Ablin, Vary, Gao and Absil 2023): R' = R - lr F, with
// F = R skew(R^T G) + lambda (R R^T - I) R. The first part follows the loss along the manifold, the second is the
// gradient of |R R^T - I|^2 / 4 and leads back to it. Products of matrices are all it takes. R is at a distance of
// about lr |F|^2 / (2 lambda) from the manifold, and comes to it as the rate falls to zero.
class Landing : public OptimizerRule {
 public:
  // At the usual rate of 4e-3 a step of 0.4, which safety, at most 1 / (2 lambda), does not cut short.
  Landing() : OptimizerRule(100.0) {}

  void describe(Options& options) override {
    OptimizerRule::describe(options);
    options.add("landing_lambda", lambda_, "weight of the pull back to the Stiefel manifold", positive());
  }

  OptimizerState stiefel_state(const OptimizerParameter& p) const override {
    // From a distance below 1 the field leads to the manifold. A resumed run starts within the safe one.
    for_each_point(p, [&](std::int64_t begin, std::int64_t end) {
      const double distance = std::sqrt(ops::squared_norm(violation(p.value.slice(begin, end).to(DType::f64))));
      require(distance < 1.0, "{} has rows that are not orthonormal: |R R^T - I| is {:.2g}, expected less than 1",
              p.name, distance);
    });
    return {};
  }

  // In f64, whatever the type, and rounded once.
  void stiefel_step(std::span<const ParameterUpdate> updates) const override {
    for (const auto& update : updates) {
      for_each_point(*update.parameter, [&](std::int64_t begin, std::int64_t end) {
        const Tensor R = update.parameter->value.slice(begin, end), G = update.gradient.slice(begin, end);
        ops::copy_(R, land(R.to(DType::f64), G.to(DType::f64), update.lr, lambda_).to(R.dtype()));
      });
      ++update.state->step;
    }
  }

  bool keeps_orthonormal() const override { return false; }

 private:
  double lambda_ = 1.0;
};

}  // namespace

extern const ChoiceEntry<OptimizerRule> landing_optimizer;
const ChoiceEntry<OptimizerRule> landing_optimizer{
    "landing", "AdamW; R slides near the Stiefel manifold, without retraction (Ablin and Peyre 2022)",
    [] { return std::make_unique<Landing>(); }};

}  // namespace csreft
