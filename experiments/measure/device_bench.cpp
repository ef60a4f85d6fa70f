#include "experiments/measure/device_bench.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "core/device/device_info.h"
#include "core/tensor/random.h"
#include "experiments/cli/progress.h"
#include "models/llama/token_batch.h"

namespace csreft {

double best_seconds(const Device& device, double seconds, const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  constexpr double runs = 5.0;
  const auto now = [&] {
    synchronize(device);
    return Clock::now();
  };
  const auto between = [](Clock::time_point a, Clock::time_point b) {
    return std::chrono::duration<double>(b - a).count();
  };
  const auto start = now();
  call();
  const auto warm = now();
  call();
  double best = between(warm, now());
  // As many calls between two waits as fill a run: the waits, and the start of a call, then cost little.
  const auto calls = std::max<std::int64_t>(1, static_cast<std::int64_t>(seconds / runs / best));
  while (!interrupted() && between(start, Clock::now()) < seconds) {
    const auto begin = now();
    for (std::int64_t i = 0; i < calls; ++i) call();
    best = std::min(best, between(begin, now()) / static_cast<double>(calls));
  }
  return best;
}

double measure_gemm(const Device& device, const GemmShape& shape, Packing packing, double seconds) {
  const auto [rows, in, out] = shape;
  const PackedMatrix weight(random_normal({out, in}, 0.0, 1.0, 1, 0, {DType::f32, device}), packing);
  const Tensor x = random_normal({rows, in}, 0.0, 1.0, 1, 1, {DType::f32, device});
  const double flops = 2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
  return flops / best_seconds(device, seconds, [&] { static_cast<void>(weight.apply(x)); });
}

double measure_copy(const Device& device, std::int64_t bytes, double seconds) {
  const std::int64_t elements = std::max<std::int64_t>(1, bytes / 4);
  const Tensor from = Tensor::zeros({elements}, DType::f32, device);
  const Tensor to = Tensor::zeros({elements}, DType::f32, device);
  return 2.0 * static_cast<double>(from.bytes()) / best_seconds(device, seconds, [&] { ops::copy_(to, from); });
}

AttentionRates measure_attention(const Device& device, const ops::AttentionHeads& heads, std::int64_t n_sequences,
                                 std::int64_t length, double seconds) {
  const std::vector<std::vector<std::int32_t>> sequences(
      static_cast<std::size_t>(n_sequences), std::vector<std::int32_t>(static_cast<std::size_t>(length), 0));
  const ops::AttentionLayout layout = pack_tokens(sequences).layout;
  const auto random = [&](std::int64_t n_heads, std::uint64_t stream) {
    return random_normal({n_sequences * length, n_heads * heads.head_dim}, 0.0, 1.0, 1, stream, {DType::f32, device});
  };
  const Tensor q = random(heads.n_heads, 0), dout = random(heads.n_heads, 1);
  const Tensor k = random(heads.n_kv_heads, 2), v = random(heads.n_kv_heads, 3);
  const auto components = static_cast<double>(n_sequences * heads.n_heads * heads.head_dim);
  const double pairs = 0.5 * static_cast<double>(length) * static_cast<double>(length + 1);

  AttentionRates rates;
  rates.forward = 4.0 * pairs * components /
                  best_seconds(device, seconds / 2, [&] { static_cast<void>(ops::attention(q, k, v, layout, heads)); });
  const ops::Attention forward = ops::attention(q, k, v, layout, heads);
  rates.backward = 10.0 * pairs * components / best_seconds(device, seconds / 2, [&] {
                     static_cast<void>(ops::attention_backward(dout, q, k, v, forward, layout, heads));
                   });
  return rates;
}

}  // namespace csreft
