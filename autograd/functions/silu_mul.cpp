#include "autograd/functions/functions.h"

namespace csreft {

// y = silu(gate) up, silu(x) = x s(x), s = sigmoid;  dup = dy silu(gate),
// dgate = dy up s(gate) (1 + gate (1 - s(gate)))
Variable silu_mul(const Variable& gate, const Variable& up) {
  return record("silu_mul", ops::silu_mul(gate.value(), up.value()), {gate, up},
                [gate = gate.value(), up = up.value()](BackwardPass& pass) {
                  auto [dgate, dup] = ops::silu_mul_backward(pass.dy, gate, up);
                  pass.add(0, std::move(dgate));
                  pass.add(1, std::move(dup));
                });
}

}  // namespace csreft
