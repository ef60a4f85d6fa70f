#include <array>

#include "reft/router/router.h"

namespace csreft {

extern const ChoiceEntry<Gate> soft_gate, softmax_gate, top1_gate, topk_gate, hard_gate, gumbel_gate, onehot_gate,
    ones_gate;

std::span<const ChoiceEntry<Gate>* const> gates() {
  static const std::array table{&soft_gate, &softmax_gate, &top1_gate,   &topk_gate,
                                &hard_gate, &gumbel_gate,  &onehot_gate, &ones_gate};
  return table;
}

}  // namespace csreft
