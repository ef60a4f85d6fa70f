// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011).
// Element i of a stream depends on (seed, stream, i) alone, never on the number of threads or on the order of calls.
#pragma once

#include <array>
#include <cstdint>

#include "core/tensor/tensor.h"

namespace csreft {

// The four words of block `counter` of the stream named by (seed, stream).
std::array<std::uint32_t, 4> philox(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter);

// A sequential reader of one stream, for host decisions: shuffles, sampling.
class Random {
 public:
  explicit Random(std::uint64_t seed, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  std::uint32_t next();
  // Uniform in [0, 1), 24 random bits.
  double uniform();
  // Uniform in [0, n), without bias. n > 0.
  std::uint64_t below(std::uint64_t n);

 private:
  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t drawn_ = 0;
  std::array<std::uint32_t, 4> block_{};
};

// Fisher-Yates, from the back.
template <typename Container>
void shuffle(Container& items, Random& random) {
  for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random.below(i)]);
}

// New tensors, f32 or f64, whose element i is drawn from element i of the stream; made on the device where they lie.
Tensor random_normal(Shape shape, double mean, double deviation, std::uint64_t seed, std::uint64_t stream,
                     const TensorOptions& options = {});
Tensor random_uniform(Shape shape, double low, double high, std::uint64_t seed, std::uint64_t stream,
                      const TensorOptions& options = {});

// Standard Gumbel noise: to the logarithms of probabilities added, its largest element is a draw from them.
// `first`: the element of the stream that element 0 is drawn from.
Tensor random_gumbel(Shape shape, std::uint64_t seed, std::uint64_t stream, const TensorOptions& options = {},
                     std::uint64_t first = 0);

}  // namespace csreft
