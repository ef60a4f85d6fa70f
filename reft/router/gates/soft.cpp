#include "reft/router/router.h"

namespace csreft {
namespace {

// alpha = sigmoid(scores): the paper's. Gates are independent of each other.
class SoftGate final : public Gate {
 public:
  bool competes() const override { return false; }
  Gates apply(const GateInput& input) const override {
    const Variable alpha = sigmoid(input.scores);
    return {alpha, alpha};
  }
};

}  // namespace

extern const ChoiceEntry<Gate> soft_gate;
const ChoiceEntry<Gate> soft_gate{"soft", "sigmoid of each score (the paper's): gates that do not compete",
                                  [] { return std::make_unique<SoftGate>(); }};

}  // namespace csreft
