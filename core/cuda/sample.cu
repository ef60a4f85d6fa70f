// Tokens drawn from their logits, one thread block per row. Nothing is sorted. Tokens have keys that rise with the
// logit and fall with the id; the k-th token, the end of the nucleus and the token drawn are each the first, down from
// the highest key, at which a sum of weights exceeds a number, and are found digit by digit of the key. Weights are
// integers: the order in which atomics add them does not matter.
#include <numbers>

#include "core/cuda/ops.h"
#include "core/cuda/reduce.cuh"
#include "core/ops/sample_weight.h"
#include "core/tensor/philox.h"

namespace csreft::cuda {
namespace {

using Wide = unsigned long long;  // what atomicAdd takes

constexpr unsigned threads = 512;
constexpr unsigned id_bits = 21, digit_bits = 11, digits = 1U << digit_bits;
constexpr Wide largest_id = (Wide{1} << id_bits) - 1;
// Keys have 32 + 21 bits: five digits.
constexpr int highest_shift = 44;

using DigitWeights = Wide[digits];
// The token found: its key, and the weights down to it with its own.
struct Found {
  Wide key, sum;
};

// Shared memory of a block.
struct Scratch {
  Wide *bins, *warps;
  Found* found;
};

// Rises with x; 0 and -0 are equal.
__device__ Wide order_of(float x) {
  const unsigned bits = __float_as_uint(x + 0.0F);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

template <typename T>
struct Row {
  const T* logits;
  unsigned n;
  double factor;  // log2(e) / temperature
  float highest = 0;

  __device__ float logit(unsigned id) const { return static_cast<float>(logits[id]); }
  __device__ Wide key(unsigned id) const { return order_of(logit(id)) << id_bits | (largest_id - id); }
};

struct Count {
  template <typename T>
  __device__ Wide operator()(const Row<T>& /*row*/, unsigned /*id*/) const {
    return 1;
  }
};

// The mass of the token.
struct Mass {
  template <typename T>
  __device__ Wide operator()(const Row<T>& row, unsigned id) const {
    const float x = row.logit(id);
    if (x == row.highest) return sample_weight(0);
    const double halvings = (static_cast<double>(row.highest) - static_cast<double>(x)) * row.factor;
    return sample_weight(halvings);
  }
};

// The sum of the values of the threads before this one.
__device__ Wide sum_before(Wide value, Wide* warps) {
  const unsigned lane = threadIdx.x % warp_threads, warp = threadIdx.x / warp_threads;
  Wide sum = value;
  for (unsigned offset = 1; offset < warp_threads; offset *= 2) {
    const Wide below = __shfl_up_sync(all_lanes, sum, offset);
    if (lane >= offset) sum += below;
  }
  if (lane == warp_threads - 1) warps[warp] = sum;
  __syncthreads();
  Wide before = sum - value;
  for (unsigned i = 0; i < warp; ++i) before += warps[i];
  __syncthreads();
  return before;
}

// The first digit, down from the highest, at which the sum of the weights exceeds `target`: its number and the sum
// before it are left in `found`.
__device__ void find_digit(Wide target, const Scratch& scratch) {
  constexpr unsigned own = digits / threads;
  const unsigned first = digits - 1 - threadIdx.x * own;
  Wide sum = 0;
  for (unsigned i = 0; i < own; ++i) sum += scratch.bins[first - i];
  Wide before = sum_before(sum, scratch.warps);
  if (before <= target && target < before + sum) {
    unsigned digit = first;
    while (target >= before + scratch.bins[digit]) before += scratch.bins[digit--];
    *scratch.found = {digit, before};
  }
  __syncthreads();
}

// The first token, down from the highest key, at which the sum of the weights exceeds `target`, which is less than the
// weights of all keys from `lowest` on.
template <typename T, typename Weight>
__device__ Found find(const Row<T>& row, Wide lowest, Wide target, const Weight& weight, const Scratch& scratch) {
  Found result{0, 0};
  for (int shift = highest_shift; shift >= 0; shift -= static_cast<int>(digit_bits)) {
    for (unsigned i = threadIdx.x; i < digits; i += blockDim.x) scratch.bins[i] = 0;
    __syncthreads();
    for (unsigned id = threadIdx.x; id < row.n; id += blockDim.x) {
      const Wide key = row.key(id);
      if (key < lowest || key >> shift >> digit_bits != result.key) continue;
      const Wide w = weight(row, id);
      if (w != 0) atomicAdd(&scratch.bins[(key >> shift) % digits], w);
    }
    __syncthreads();
    find_digit(target - result.sum, scratch);
    result.key = result.key << digit_bits | scratch.found->key;
    result.sum += scratch.found->sum;
  }
  result.sum += scratch.bins[result.key % digits];
  __syncthreads();
  return result;
}

// The token drawn, once the row's highest logit is known.
template <typename T>
__device__ Wide draw(const Row<T>& row, const ops::Sampling& sampling, double uniform, const Scratch& scratch) {
  Wide lowest = 0;
  const auto k = static_cast<unsigned>(sampling.top_k);
  if (k > 0 && k < row.n) lowest = find(row, 0, k - 1, Count{}, scratch).key;
  Wide total = 0;
  for (unsigned id = threadIdx.x; id < row.n; id += blockDim.x) {
    if (row.key(id) >= lowest) total += Mass{}(row, id);
  }
  total = reduce_block(total, scratch.warps, Add{});
  if (sampling.top_p < 1) {
    const auto reached = static_cast<Wide>(ceil(sampling.top_p * static_cast<double>(total)));
    const Found last = find(row, lowest, reached - 1, Mass{}, scratch);
    lowest = last.key;
    total = last.sum;
  }
  return find(row, lowest, static_cast<Wide>(uniform * static_cast<double>(total)), Mass{}, scratch).key;
}

template <typename T>
__global__ void sample_kernel(const T* logits, unsigned n, ops::Sampling sampling, double factor,
                              std::uint64_t first_stream, std::int32_t* draws, std::int32_t* tokens) {
  CSREFT_SHARED(DigitWeights, bins);
  CSREFT_SHARED(WarpValues<Wide>, warps);
  CSREFT_SHARED(Found, found);
  const Scratch scratch{bins, warps, &found};
  Row<T> row{logits + std::int64_t{blockIdx.x} * n, n, factor};
  Wide highest = 0, strange = 0;
  for (unsigned id = threadIdx.x; id < n; id += blockDim.x) {
    highest = Max{}(highest, row.key(id));
    if (!isfinite(row.logit(id))) strange = 1;
  }
  strange = reduce_block(strange, warps, Max{});
  Wide key = reduce_block(highest, warps, Max{});
  row.highest = row.logit(static_cast<unsigned>(largest_id - key % (largest_id + 1)));
  std::int32_t* const own = draws + 2 * std::int64_t{blockIdx.x};
  const std::int32_t drawn = own[1];
  const bool draws_one = strange == 0 && sampling.temperature != 0;
  if (draws_one) {
    const std::uint32_t word = philox_word(sampling.seed, first_stream + static_cast<std::uint64_t>(own[0]),
                                           static_cast<std::uint64_t>(drawn));
    key = draw(row, sampling, uniform_of(word), scratch);
  }
  if (threadIdx.x != 0) return;
  tokens[blockIdx.x] = strange != 0 ? -1 : static_cast<std::int32_t>(largest_id - key % (largest_id + 1));
  if (draws_one) own[1] = drawn + 1;
}

}  // namespace

void sample(const Tensor& logits, const ops::Sampling& sampling, std::uint64_t first_stream, const Tensor& draws,
            const Tensor& tokens) {
  if (logits.rows() == 0) return;
  visit_real(logits.dtype(), "sample_", [&]<typename T>(T) {
    launch(sample_kernel<T>, row_grid(logits.rows()), dim3(threads), 0, context(logits).stream,
           elements<const T>(logits), static_cast<unsigned>(logits.cols()), sampling,
           std::numbers::log2e / sampling.temperature, first_stream, elements<std::int32_t>(draws),
           elements<std::int32_t>(tokens));
  });
}

}  // namespace csreft::cuda
