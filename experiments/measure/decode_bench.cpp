#include "experiments/measure/decode_bench.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/ops/packed_matrix.h"
#include "core/tensor/random.h"

namespace csreft {
namespace {

// Any bytes are a matrix; these keep exponents of halves small, so that nothing overflows.
StoredMatrix drawn_matrix(std::shared_ptr<const RowEncoding> encoding, const Shape& shape, std::uint64_t seed) {
  const auto words = static_cast<std::size_t>(shape.numel() / encoding->block_elements * encoding->block_bytes / 2);
  const auto bytes = std::make_shared<std::vector<std::uint16_t>>(words);
  Random random(seed);
  std::ranges::generate(*bytes, [&] { return static_cast<std::uint16_t>(random.below(1U << 16U) & 0xbfffU); });
  return {shape, std::move(encoding), std::as_bytes(std::span(*bytes)), bytes};
}

}  // namespace

double measure_decoding(const DecodedForm& form, const GemmShape& shape, double seconds) {
  constexpr double beyond_caches = 3e8;
  const Shape extents{shape.out, shape.in};
  const auto weight = [&](std::uint64_t seed) {
    if (form == nullptr) return PackedMatrix(random_normal(extents, 0.0, 1.0, seed, 0));
    return PackedMatrix(drawn_matrix(form, extents, seed), Packing::rows);
  };
  std::vector<PackedMatrix> weights{weight(0)};
  const auto bytes = static_cast<double>(weights.front().read_bytes(shape.rows));
  const auto n = static_cast<std::size_t>(std::max(1.0, beyond_caches / bytes));
  while (weights.size() < n) weights.push_back(weight(weights.size()));
  const Tensor x = random_normal({shape.rows, shape.in}, 0.0, 1.0, 1, 1);
  const double best = best_seconds({}, seconds, [&] {
    for (const auto& w : weights) static_cast<void>(w.apply(x));
  });
  return bytes * static_cast<double>(n) / best;
}

}  // namespace csreft
