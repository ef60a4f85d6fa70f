// Tokens drawn from their logits.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <span>
#include <vector>

#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"
#include "core/ops/sample_weight.h"
#include "core/tensor/philox.h"

namespace csreft::cpu {
namespace {

// The ids of the n most probable tokens, in order.
std::vector<std::int32_t> most_probable(std::span<const float> logits, std::size_t n) {
  std::vector<std::int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto higher = [&](std::int32_t a, std::int32_t b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n), ids.end(), higher);
  ids.resize(n);
  return ids;
}

// The place of the first of the rising sums that exceeds `target`.
std::size_t place(std::span<const std::uint64_t> sums, std::uint64_t target) {
  return static_cast<std::size_t>(std::ranges::upper_bound(sums, target) - sums.begin());
}

// `uniform` is drawn from [0, 1) in steps of 2^-24.
std::int32_t draw(std::span<const float> logits, const ops::Sampling& sampling, double uniform) {
  const auto k = static_cast<std::size_t>(sampling.top_k);
  const auto ids = most_probable(logits, k == 0 ? logits.size() : std::min(k, logits.size()));
  const double highest = logits[static_cast<std::size_t>(ids.front())],
               factor = std::numbers::log2e / sampling.temperature;
  std::vector<std::uint64_t> mass;  // cumulative
  std::uint64_t total = 0;
  for (const auto id : ids) {
    const double below = highest - logits[static_cast<std::size_t>(id)];
    total += sample_weight(below == 0 ? 0 : below * factor);
    mass.push_back(total);
  }
  if (sampling.top_p < 1.0) {
    const auto reached = static_cast<std::uint64_t>(std::ceil(sampling.top_p * static_cast<double>(total)));
    total = mass[place(mass, reached - 1)];
  }
  return ids[place(mass, static_cast<std::uint64_t>(uniform * static_cast<double>(total)))];
}

std::int32_t choose(std::span<const float> logits, const ops::Sampling& sampling, std::uint64_t stream,
                    std::int32_t& drawn) {
  if (!std::ranges::all_of(logits, [](float x) { return std::isfinite(x); })) return -1;
  if (sampling.temperature == 0.0) {
    return static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
  }
  const auto index = static_cast<std::uint64_t>(drawn++);
  return draw(logits, sampling, uniform_of(philox_word(sampling.seed, stream, index)));
}

}  // namespace

void sample(const Tensor& logits, const ops::Sampling& sampling, std::uint64_t first_stream, const Tensor& draws,
            const Tensor& tokens) {
  const Tensor narrow = logits.to(DType::f32);
  const auto vocabulary = static_cast<std::size_t>(logits.cols());
  for_rows(logits.rows(), logits.cols(), [&](std::int64_t row) {
    std::int32_t* const own = draws.data<std::int32_t>() + 2 * row;
    const auto stream = first_stream + static_cast<std::uint64_t>(own[0]);
    const float* const values = narrow.data<float>() + row * logits.cols();
    tokens.data<std::int32_t>()[row] = choose({values, vocabulary}, sampling, stream, own[1]);
  });
}

}  // namespace csreft::cpu
