// Correct kernels, in many orders: barriers, shared memory, shuffles and votes.
#include <cmath>
#include <numeric>
#include <vector>

#include "core/cuda/launch.h"
#include "device_array.h"
#include "named_barrier.h"

using csreft::cuda::launch;
using namespace csreft::emulation;

namespace {

constexpr int n_seeds = 20;

__global__ void add(const float* a, const float* b, float* y, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) y[i] = a[i] + b[i];
}

using BlockValues = float[256];

// y[block] = sum of the block's 256 elements, by halving.
__global__ void sum_by_halving(const float* x, float* y) {
  CSREFT_SHARED(BlockValues, values);
  values[threadIdx.x] = x[blockIdx.x * 256 + threadIdx.x];
  for (unsigned half = 128; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) values[threadIdx.x] += values[threadIdx.x + half];
  }
  if (threadIdx.x == 0) y[blockIdx.x] = values[0];
}

using WarpValues = float[32];

// The same by shuffles within warps, then over warps.
__global__ void sum_by_shuffles(const float* x, float* y) {
  CSREFT_SHARED(WarpValues, values);
  float sum = x[blockIdx.x * blockDim.x + threadIdx.x];
  for (int mask = 16; mask > 0; mask /= 2) sum += __shfl_xor_sync(0xffffffffU, sum, mask);
  if (threadIdx.x % 32 == 0) values[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  sum = threadIdx.x < blockDim.x / 32 ? values[threadIdx.x] : 0.0F;
  for (unsigned delta = 16; delta > 0; delta /= 2) sum += __shfl_down_sync(0xffffffffU, sum, delta);
  if (threadIdx.x == 0) y[blockIdx.x] = sum;
}

// Each warp turns its 32 values round: what __syncwarp orders is no race.
__global__ void reverse_in_warps(int* x) {
  CSREFT_DYNAMIC_SHARED(int, values);
  const unsigned lane = threadIdx.x % 32, first = threadIdx.x - lane;
  values[threadIdx.x] = x[threadIdx.x];
  __syncwarp();
  x[threadIdx.x] = values[first + 31 - lane];
}

// The first 64 threads hand values to each other, and the other 64 likewise, each behind a barrier of their own.
__global__ void exchange_in_halves(int* x) {
  CSREFT_DYNAMIC_SHARED(int, values);
  const unsigned half = threadIdx.x / 64, within = threadIdx.x % 64;
  values[threadIdx.x] = x[threadIdx.x];
  named_barrier(1 + static_cast<int>(half), 64);
  x[threadIdx.x] = values[half * 64 + 63 - within];
}

__global__ void vote(const int* x, unsigned* ballots, int* all_and_any) {
  const int value = x[threadIdx.x];
  const unsigned ballot = __ballot_sync(0xffffffffU, value > 5);
  const int all = __all_sync(0xffffffffU, value >= 0), any = __any_sync(0xffffffffU, value == 31);
  if (threadIdx.x == 0) {
    ballots[0] = ballot;
    all_and_any[0] = all;
    all_and_any[1] = any;
  }
}

__global__ void shuffle_kinds(int* y) {
  const int lane = static_cast<int>(threadIdx.x);
  y[lane] = __shfl_sync(0xffffffffU, lane, 3);
  y[32 + lane] = __shfl_up_sync(0xffffffffU, lane, 1);
  y[64 + lane] = __shfl_down_sync(0xffffffffU, lane, 2, 8);
  y[96 + lane] = __shfl_xor_sync(0xffffffffU, lane, 1);
}

__global__ void count_even(const int* x, unsigned* count) {
  if (x[blockIdx.x * blockDim.x + threadIdx.x] % 2 == 0) atomicAdd(count, 1U);
}

std::vector<float> rising(int n) {
  std::vector<float> out(static_cast<std::size_t>(n));
  std::iota(out.begin(), out.end(), 0.0F);
  return out;
}

}  // namespace

TEST_CASE("a kernel over several blocks") {
  const DeviceArray<float> a(rising(1000)), b(rising(1000)), y(1000);
  launch(add, dim3(4), dim3(256), 0, nullptr, a.data(), b.data(), y.data(), 1000);
  const auto values = y.values();
  for (int i = 0; i < 1000; ++i) CHECK(values[static_cast<std::size_t>(i)] == static_cast<float>(2 * i));
}

TEST_CASE("correct kernels are right in every order") {
  for (int seed = 1; seed <= n_seeds; ++seed) {
    start_orders(static_cast<std::uint64_t>(seed));
    const DeviceArray<float> x(rising(4 * 256)), halved(4), shuffled(4);
    launch(sum_by_halving, dim3(4), dim3(256), 0, nullptr, x.data(), halved.data());
    launch(sum_by_shuffles, dim3(4), dim3(256), 0, nullptr, x.data(), shuffled.data());
    std::vector<int> numbers(128), reversed(128), exchanged(128);
    std::iota(numbers.begin(), numbers.end(), 0);
    const DeviceArray<int> warps(numbers), halves(numbers);
    launch(reverse_in_warps, dim3(1), dim3(128), 128 * sizeof(int), nullptr, warps.data());
    launch(exchange_in_halves, dim3(1), dim3(128), 128 * sizeof(int), nullptr, halves.data());
    cudaDeviceSynchronize();
    REQUIRE(report() == "");
    for (int block = 0; block < 4; ++block) {
      const float expected = 256.0F * 256.0F * static_cast<float>(block) + 255.0F * 128.0F;
      CHECK(halved.values()[static_cast<std::size_t>(block)] == expected);
      CHECK(shuffled.values()[static_cast<std::size_t>(block)] == expected);
    }
    for (int i = 0; i < 128; ++i) {
      CHECK(warps.values()[static_cast<std::size_t>(i)] == i / 32 * 32 + 31 - i % 32);
      CHECK(halves.values()[static_cast<std::size_t>(i)] == i / 64 * 64 + 63 - i % 64);
    }
  }
}

TEST_CASE("votes and the four shuffles") {
  std::vector<int> numbers(32);
  std::iota(numbers.begin(), numbers.end(), 0);
  const DeviceArray<int> x(numbers), all_and_any(2), y(128);
  const DeviceArray<unsigned> ballots(1);
  launch(vote, dim3(1), dim3(32), 0, nullptr, x.data(), ballots.data(), all_and_any.data());
  launch(shuffle_kinds, dim3(1), dim3(32), 0, nullptr, y.data());
  CHECK(ballots.values() == std::vector<unsigned>{0xffffffc0U});
  CHECK(all_and_any.values() == std::vector<int>{1, 1});
  const auto values = y.values();
  for (int lane = 0; lane < 32; ++lane) {
    const auto l = static_cast<std::size_t>(lane);
    CHECK(values[l] == 3);
    CHECK(values[32 + l] == std::max(lane - 1, 0));
    CHECK(values[64 + l] == (lane % 8 < 6 ? lane + 2 : lane));
    CHECK(values[96 + l] == (lane ^ 1));
  }
}

TEST_CASE("integer atomics from many blocks") {
  std::vector<int> numbers(512);
  std::iota(numbers.begin(), numbers.end(), 0);
  const DeviceArray<int> x(numbers);
  const DeviceArray<unsigned> count(std::vector<unsigned>{0});
  launch(count_even, dim3(4), dim3(128), 0, nullptr, x.data(), count.data());
  CHECK(count.values() == std::vector<unsigned>{256});
}
