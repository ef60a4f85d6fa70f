#include "autograd/functions/functions.h"

namespace csreft {

// y = x m / (1 - p), m_i = 1 with probability 1 - p, else 0;  dx = dy m / (1 - p). Element i is drawn from element
// first + i of the stream, twice instead of being kept.
Variable dropout(const Variable& x, double p, std::uint64_t seed, std::uint64_t stream, std::uint64_t first) {
  return record("dropout", ops::dropout(x.value(), p, seed, stream, first), {x},
                [=](BackwardPass& pass) { pass.add(0, ops::dropout(pass.dy, p, seed, stream, first)); });
}

}  // namespace csreft
