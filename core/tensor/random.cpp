#include "core/tensor/random.h"

#include "core/device/backend.h"
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
  backend_of(t.device()).fill_normal(mean, deviation, seed, stream, t);
  return t;
}

Tensor random_uniform(Shape shape, double low, double high, std::uint64_t seed, std::uint64_t stream,
                      const TensorOptions& options) {
  Tensor t = Tensor::empty(shape, options);
  backend_of(t.device()).fill_uniform(low, high, seed, stream, t);
  return t;
}

Tensor random_gumbel(Shape shape, std::uint64_t seed, std::uint64_t stream, const TensorOptions& options,
                     std::uint64_t first) {
  Tensor t = Tensor::empty(shape, options);
  backend_of(t.device()).fill_gumbel(seed, stream, first, t);
  return t;
}

}  // namespace csreft
