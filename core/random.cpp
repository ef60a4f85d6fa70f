#include "core/random.h"

#include "core/ops.h"

namespace csreft {
namespace {

// Multipliers and Weyl constants of Philox4x32, table 2 of the paper.
constexpr std::uint32_t multiplier_0 = 0xD2511F53;
constexpr std::uint32_t multiplier_1 = 0xCD9E8D57;
constexpr std::uint32_t weyl_0 = 0x9E3779B9;
constexpr std::uint32_t weyl_1 = 0xBB67AE85;

}  // namespace

std::array<std::uint32_t, 4> philox(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  std::array<std::uint32_t, 4> c{static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32U),
                                 static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32U)};
  auto key_0 = static_cast<std::uint32_t>(seed);
  auto key_1 = static_cast<std::uint32_t>(seed >> 32U);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product_0 = std::uint64_t{multiplier_0} * c[0];
    const std::uint64_t product_1 = std::uint64_t{multiplier_1} * c[2];
    c = {static_cast<std::uint32_t>(product_1 >> 32U) ^ c[1] ^ key_0, static_cast<std::uint32_t>(product_1),
         static_cast<std::uint32_t>(product_0 >> 32U) ^ c[3] ^ key_1, static_cast<std::uint32_t>(product_0)};
    key_0 += weyl_0;
    key_1 += weyl_1;
  }
  return c;
}

std::uint32_t Random::next() {
  if (drawn_ % 4 == 0) block_ = philox(seed_, stream_, drawn_ / 4);
  return block_[drawn_++ % 4];
}

double Random::uniform() { return (next() >> 8U) * 0x1p-24; }

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

}  // namespace csreft
