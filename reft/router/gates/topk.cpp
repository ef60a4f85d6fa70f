#include "reft/router/router.h"

namespace csreft {
namespace {

// alpha = 1 for the k largest scores of a row and 0 for the others, with the gradient of p = softmax(scores):
// straight-through (arXiv 1308.3432).
class TopKGate final : public Gate {
 public:
  void describe(Options& options) override { options.add("topk", k_, "gates that are open at a time", at_least(1)); }
  bool competes() const override { return true; }
  void check(std::int64_t gates) const override {
    require(k_ <= gates, "--topk {} is not possible with {} gates that compete: expected {} or less", k_, gates, gates);
  }
  Gates apply(const GateInput& input) const override {
    const Variable p = softmax(input.scores);
    return {straight_through(ops::top_k_rows(p.value(), k_), p), p};
  }

 private:
  std::int64_t k_ = 2;
};

}  // namespace

extern const ChoiceEntry<Gate> topk_gate;
const ChoiceEntry<Gate> topk_gate{"topk",
                                  "one for the --topk largest scores, zero for the others (straight-through softmax)",
                                  [] { return std::make_unique<TopKGate>(); }};

}  // namespace csreft
