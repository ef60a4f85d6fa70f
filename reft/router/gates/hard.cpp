#include "reft/router/router.h"

namespace csreft {
namespace {

// alpha = 1 where sigmoid(score) > tau, else 0, with the sigmoid's gradient: straight-through (arXiv 1308.3432). With
// tau = 0.5 the threshold that the paper names and its released code never applies.
class HardGate final : public Gate {
 public:
  void describe(Options& options) override {
    options.add("tau", tau_, "the threshold above which a gate is open", between(0.0, 1.0));
  }
  bool competes() const override { return false; }
  Gates apply(const GateInput& input) const override {
    const Variable p = sigmoid(input.scores);
    return {straight_through(ops::threshold(p.value(), tau_), p), p};
  }

 private:
  double tau_ = 0.5;
};

}  // namespace

extern const ChoiceEntry<Gate> hard_gate;
const ChoiceEntry<Gate> hard_gate{"hard",
                                  "one where the sigmoid of the score exceeds --tau, else zero (straight-through)",
                                  [] { return std::make_unique<HardGate>(); }};

}  // namespace csreft
