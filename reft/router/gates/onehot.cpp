#include "reft/router/router.h"

namespace csreft {
namespace {

// alpha = one-hot of the example's task: a partition given by hand, task i to subspace i. No router.
class OneHotGate final : public Gate {
 public:
  GateSource source() const override { return GateSource::task; }
  bool competes() const override { return false; }
  Gates apply(const GateInput& input) const override {
    const Tensor alpha = Tensor::zeros({input.rows, input.gates}, input.tensors);
    const Tensor ones = Tensor::full({input.rows, 1}, 1.0, input.tensors);
    std::vector<std::int32_t> places;
    for (std::size_t e = 0; e < input.tasks.size(); ++e) {
      require(input.tasks[e] >= 0 && input.tasks[e] < input.gates, "task {} has no subspace: expected at most {} tasks",
              input.tasks[e], input.gates);
      places.push_back(static_cast<std::int32_t>(e) * static_cast<std::int32_t>(input.gates) + input.tasks[e]);
    }
    ops::scatter_rows_(alpha.view({input.rows * input.gates, 1}), index_tensor(places), ones);
    return {Variable(alpha), {}};
  }
};

}  // namespace

extern const ChoiceEntry<Gate> onehot_gate;
const ChoiceEntry<Gate> onehot_gate{
    "onehot", "one-hot of the example's task (manual partition): no router; generation needs --task",
    [] { return std::make_unique<OneHotGate>(); }};

}  // namespace csreft
