#include "models/llama/sampler.h"

namespace csreft {

Tensor draw_counts(std::span<const std::int32_t> sequences, std::int32_t drawn, const Device& device) {
  std::vector<std::int32_t> counts;
  for (const std::int32_t sequence : sequences) counts.insert(counts.end(), {sequence, drawn});
  const auto n = static_cast<std::int64_t>(sequences.size());
  return Tensor::from(std::span<const std::int32_t>(counts), {n, 2}).to(device);
}

std::vector<std::int32_t> sample(const Tensor& logits, const SamplingOptions& options, std::uint64_t first_stream,
                                 const Tensor& draws) {
  const Tensor tokens = Tensor::empty({logits.rows()}, DType::i32, logits.device());
  ops::sample_(logits, options, first_stream, draws, tokens);
  const Tensor here = tokens.to(Device{});
  const auto chosen = here.span<std::int32_t>();
  return {chosen.begin(), chosen.end()};
}

}  // namespace csreft
