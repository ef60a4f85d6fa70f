#include "reft/stiefel/optimizers/riemannian.h"

namespace csreft {
namespace {

class RiemannianSgd : public RiemannianMomentum {
 public:
  void describe(Options& options) override {
    OptimizerRule::describe(options);
    manifold_.describe(options);
    options.add("momentum", momentum_, "share of the step before, of R", share_less_than_one());
  }
};

}  // namespace

extern const ChoiceEntry<OptimizerRule> riemannian_sgd_optimizer;
const ChoiceEntry<OptimizerRule> riemannian_sgd_optimizer{
    "riemannian_sgd", "AdamW; on the Stiefel manifold Riemannian gradient descent with momentum",
    [] { return std::make_unique<RiemannianSgd>(); }};

}  // namespace csreft
