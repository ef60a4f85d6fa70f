#include "reft/router/router.h"

namespace csreft {
namespace {

// alpha = softmax(scores): gates share a whole of one.
class SoftmaxGate final : public Gate {
 public:
  bool competes() const override { return true; }
  Gates apply(const GateInput& input) const override {
    const Variable alpha = softmax(input.scores);
    return {alpha, alpha};
  }
};

}  // namespace

extern const ChoiceEntry<Gate> softmax_gate;
const ChoiceEntry<Gate> softmax_gate{"softmax", "softmax of the scores: gates share a whole of one",
                                     [] { return std::make_unique<SoftmaxGate>(); }};

}  // namespace csreft
