#include "core/tensor/random.h"

#include <cmath>

#include "core/ops/ops.h"
#include "core/tensor/philox.h"

namespace csreft {

std::array<std::uint32_t, 4> philox(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  const PhiloxBlock block = philox_block(seed, stream, counter);
  return std::to_array(block.words);
}

std::uint32_t Random::next() {
  if (drawn_ % 4 == 0) block_ = philox(seed_, stream_, drawn_ / 4);
  return block_[drawn_++ % 4];
}

double Random::uniform() { return uniform_of(next()); }

std::uint64_t Random::below(std::uint64_t n) {
  // Draws in the last, incomplete multiple of n are thrown away.
  const std::uint64_t limit = ~std::uint64_t{0} - ~std::uint64_t{0} % n;
  for (;;) {
    const std::uint64_t high = next();
    const std::uint64_t draw = (high << 32U) | next();
    if (draw < limit) return draw % n;
  }
}

Tensor random_normal(Shape shape, double mean, double deviation, std::uint64_t seed, std::uint64_t stream,
                     const TensorOptions& options) {
  Tensor t = Tensor::empty(shape, options);
  ops::fill_normal_(t, mean, deviation, seed, stream);
  return t;
}

Tensor random_uniform(Shape shape, double low, double high, std::uint64_t seed, std::uint64_t stream,
                      const TensorOptions& options) {
  Tensor t = Tensor::empty(shape, options);
  ops::fill_uniform_(t, low, high, seed, stream);
  return t;
}

Tensor random_gumbel(Shape shape, std::uint64_t seed, std::uint64_t stream, const TensorOptions& options) {
  Tensor t = Tensor::empty(shape, options);
  ops::fill_gumbel_(t, seed, stream);
  return t;
}

LinearInit linear_init(std::int64_t out, std::int64_t in, std::uint64_t seed, std::uint64_t stream,
                       const TensorOptions& options) {
  require(out > 0 && in > 0, "a linear layer of {} inputs and {} outputs, expected at least one of each", in, out);
  const double bound = 1.0 / std::sqrt(static_cast<double>(in));
  const Tensor all = random_uniform({out * in + out}, -bound, bound, seed, stream, options);
  return {all.slice(0, out * in).clone().view({out, in}), all.slice(out * in, out * in + out).clone()};
}

}  // namespace csreft
