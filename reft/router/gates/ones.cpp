#include "reft/router/router.h"

namespace csreft {
namespace {

// alpha = 1: every subspace for every prompt, no router. One subspace of rank k r, but for its blocks.
class OnesGate final : public Gate {
 public:
  GateSource source() const override { return GateSource::nothing; }
  bool competes() const override { return false; }
  Gates apply(const GateInput& input) const override {
    return {Variable(Tensor::full({input.rows, input.gates}, 1.0, input.tensors)), {}};
  }
};

}  // namespace

extern const ChoiceEntry<Gate> ones_gate;
const ChoiceEntry<Gate> ones_gate{"ones", "every subspace always on: no router",
                                  [] { return std::make_unique<OnesGate>(); }};

}  // namespace csreft
