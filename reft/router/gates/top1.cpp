#include "reft/router/router.h"

namespace csreft {
namespace {

// alpha = one-hot of the largest score, with the gradient of p = softmax(scores): straight-through (arXiv 1308.3432).
class Top1Gate final : public Gate {
 public:
  bool competes() const override { return true; }
  Gates apply(const GateInput& input) const override {
    const Variable p = softmax(input.scores);
    return {straight_through(ops::top_k_rows(p.value(), 1), p), p};
  }
};

}  // namespace

extern const ChoiceEntry<Gate> top1_gate;
const ChoiceEntry<Gate> top1_gate{"top1",
                                  "one-hot of the largest score, with the gradient of the softmax (straight-through)",
                                  [] { return std::make_unique<Top1Gate>(); }};

}  // namespace csreft
