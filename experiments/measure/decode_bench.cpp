#include "experiments/measure/decode_bench.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/tensor/random.h"
#include "models/checkpoints/gguf_encodings.h"

namespace csreft {
namespace {

struct Form {
  std::string_view name;
  GgmlType type;
};
constexpr std::array forms{Form{"f32", GgmlType::f32},   Form{"bf16", GgmlType::bf16}, Form{"f16", GgmlType::f16},
                           Form{"Q4_0", GgmlType::q4_0}, Form{"Q4_1", GgmlType::q4_1}, Form{"Q8_0", GgmlType::q8_0}};
constexpr auto names = [] {
  std::array<std::string_view, forms.size()> all;
  std::ranges::transform(forms, all.begin(), &Form::name);
  return all;
}();

// Any bytes are a matrix; these keep exponents of halves small, so that nothing overflows.
StoredMatrix drawn_matrix(GgmlType type, const Shape& shape, std::uint64_t seed) {
  const GgmlBlock block = block_of(type);
  const auto words = static_cast<std::size_t>(shape.numel() / block.elements * block.bytes / 2);
  const auto bytes = std::make_shared<std::vector<std::uint16_t>>(words);
  Random random(seed);
  std::ranges::generate(*bytes, [&] { return static_cast<std::uint16_t>(random.below(1U << 16U) & 0xbfffU); });
  return {shape, row_encoding(type), std::as_bytes(std::span(*bytes)), bytes};
}

PackedMatrix drawn_weight(GgmlType type, const GemmShape& shape, std::uint64_t seed) {
  const Shape extents{shape.out, shape.in};
  if (type == GgmlType::f32) return PackedMatrix(random_normal(extents, 0.0, 1.0, seed, 0));
  return PackedMatrix(drawn_matrix(type, extents, seed), Packing::rows);
}

}  // namespace

std::span<const std::string_view> decoded_forms() { return names; }

double measure_decoding(std::string_view form, const GemmShape& shape, double seconds) {
  constexpr double beyond_caches = 3e8;
  const auto found = std::ranges::find(forms, form, &Form::name);
  require(found != forms.end(), "unknown form {} of weights: expected f32, bf16, f16, Q4_0, Q4_1 or Q8_0", form);
  const GgmlBlock block = block_of(found->type);
  const double bytes = static_cast<double>(shape.out * shape.in / block.elements * block.bytes);
  const auto n = static_cast<std::size_t>(std::max(1.0, beyond_caches / bytes));
  std::vector<PackedMatrix> weights;
  for (std::size_t i = 0; i < n; ++i) weights.push_back(drawn_weight(found->type, shape, i));
  const Tensor x = random_normal({shape.rows, shape.in}, 0.0, 1.0, 1, 1);
  const double best = best_seconds({}, seconds, [&] {
    for (const auto& weight : weights) static_cast<void>(weight.apply(x));
  });
  return bytes * static_cast<double>(n) / best;
}

double decoded_bytes(const Checkpoint& checkpoint) {
  double sum = 0.0;
  for (const auto& [name, shape] : parameter_shapes(checkpoint.config)) {
    const bool is_gathered = name == "model.embed_tokens.weight" && !checkpoint.config.tie_word_embeddings;
    if (shape.rank() != 2 || is_gathered) continue;
    const auto stored = checkpoint.stored_bytes.find(name);
    sum += stored == checkpoint.stored_bytes.end() ? 4.0 * static_cast<double>(shape.numel())
                                                   : static_cast<double>(stored->second);
  }
  return sum;
}

}  // namespace csreft
