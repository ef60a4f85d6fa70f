#include "autograd/functions/functions.h"

namespace csreft {

// y = a + b;  da = dy, db = dy
Variable add(const Variable& a, const Variable& b) {
  return record("add", ops::add(a.value(), b.value()), {a, b}, [](BackwardPass& pass) {
    pass.add(0, pass.dy);
    pass.add(1, pass.dy);
  });
}

// y = a - b;  da = dy, db = -dy
Variable sub(const Variable& a, const Variable& b) {
  return record("sub", ops::sub(a.value(), b.value()), {a, b}, [](BackwardPass& pass) {
    pass.add(0, pass.dy);
    if (pass.needs(1)) pass.add(1, ops::scale(pass.dy, -1.0));
  });
}

// y = a b;  da = dy b, db = dy a
Variable mul(const Variable& a, const Variable& b) {
  return record("mul", ops::mul(a.value(), b.value()), {a, b}, [a = a.value(), b = b.value()](BackwardPass& pass) {
    if (pass.needs(0)) pass.add(0, ops::mul(pass.dy, b));
    if (pass.needs(1)) pass.add(1, ops::mul(pass.dy, a));
  });
}

// y = c x;  dx = c dy
Variable scale(const Variable& x, double factor) {
  return record("scale", ops::scale(x.value(), factor), {x},
                [factor](BackwardPass& pass) { pass.add(0, ops::scale(pass.dy, factor)); });
}

}  // namespace csreft
