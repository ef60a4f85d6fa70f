// Kernels made wrong on purpose: the emulation must find each, in every order.
#include <vector>

#include "core/cuda/launch.h"
#include "device_array.h"
#include "named_barrier.h"

using csreft::cuda::launch;
using namespace csreft::emulation;

namespace {

constexpr int n_seeds = 20;

using Values = float[128];
using OneValue = float[1];

__global__ void missing_barrier(float* y) {
  CSREFT_SHARED(Values, values);
  values[threadIdx.x] = static_cast<float>(threadIdx.x);
  y[threadIdx.x] = values[127 - threadIdx.x];
}

// The last read of one round and the first write of the next have no barrier between them.
__global__ void missing_barrier_in_a_loop(float* y) {
  CSREFT_SHARED(Values, values);
  float sum = 0;
  for (int round = 0; round < 3; ++round) {
    values[threadIdx.x] = static_cast<float>(round);
    __syncthreads();
    sum += values[127 - threadIdx.x];
  }
  y[threadIdx.x] = sum;
}

__global__ void all_write_one_place(float* y) {
  CSREFT_SHARED(OneValue, value);
  value[0] = static_cast<float>(threadIdx.x);
  __syncthreads();
  y[threadIdx.x] = value[0];
}

// A shuffle does not order memory, a barrier of half of the block not that of the other half.
__global__ void shuffle_for_a_barrier(float* y) {
  CSREFT_SHARED(Values, values);
  values[threadIdx.x] = 1;
  const int other = __shfl_xor_sync(0xffffffffU, static_cast<int>(threadIdx.x), 1);
  y[threadIdx.x] = values[other];
}
__global__ void barrier_of_the_wrong_half(float* y) {
  CSREFT_SHARED(Values, values);
  values[threadIdx.x] = 1;
  named_barrier(1 + static_cast<int>(threadIdx.x) / 64, 64);
  y[threadIdx.x] = values[127 - threadIdx.x];
}

__global__ void barrier_in_a_branch(float* y) {
  if (threadIdx.x < 100) __syncthreads();
  y[threadIdx.x] = 0;
}
__global__ void barrier_after_return(float* y) {
  if (threadIdx.x == 5) return;
  __syncthreads();
  y[threadIdx.x] = 0;
}
__global__ void two_barriers_for_one(float* y) {
  if (threadIdx.x < 64) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  y[threadIdx.x] = 0;
}
__global__ void named_barrier_of_too_few() {
  if (threadIdx.x < 32) named_barrier(3, 64);
}
__global__ void shuffle_without_some(int* y) {
  if (threadIdx.x % 32 < 20) y[threadIdx.x] = __shfl_xor_sync(0xffffffffU, 1, 1);
}
__global__ void shuffle_outside_its_mask(int* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_sync(0x0000ffffU, 1, 20);
}

__global__ void past_the_end(float* y, int n) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (static_cast<int>(i) <= n) y[i] = 1;
}
__global__ void past_shared(float* y) {
  CSREFT_SHARED(Values, values);
  values[threadIdx.x + 1] = 1;
  __syncthreads();
  y[threadIdx.x] = values[threadIdx.x];
}
__global__ void uninitialised_shared(float* y) {
  CSREFT_SHARED(Values, values);
  if (threadIdx.x != 3) values[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = values[threadIdx.x];
}

__global__ void use_last_of(unsigned n, float* y) {
  CSREFT_DYNAMIC_SHARED(float, values);
  values[n - 1] = 3;
  y[0] = values[n - 1];
}

struct Inside {
  const float* x;
};
__global__ void read_inside(Inside from, float* y) { y[0] = from.x[0]; }
__global__ void read_argument(const float* x, float* y) { y[0] = x[0]; }

__global__ void read_four_from(const float* x, float* y) {
  const float4 four = *reinterpret_cast<const float4*>(x);
  y[0] = four.x + four.w;
}
__global__ void write_four_to(const float* x, float* y) {
  *reinterpret_cast<float4*>(y) = make_float4(x[0], x[1], x[2], x[3]);
}

template <typename F>
void check_found(const std::string& expected, F start) {
  for (int seed = 1; seed <= n_seeds; ++seed) {
    start_orders(static_cast<std::uint64_t>(seed));
    start();
    const std::string found = run_and_report();
    CHECK_MESSAGE(found.find(expected) != std::string::npos, "seed ", seed, ": expected '", expected, "' in '", found,
                  "'");
  }
}

}  // namespace

TEST_CASE("races on shared memory are found in every order") {
  if (!finds_races()) return;
  const DeviceArray<float> y(128);
  for (auto* kernel : {missing_barrier, missing_barrier_in_a_loop, all_write_one_place, shuffle_for_a_barrier,
                       barrier_of_the_wrong_half}) {
    check_found("race on shared memory", [&] { launch(kernel, dim3(2), dim3(128), 0, nullptr, y.data()); });
  }
}

TEST_CASE("barriers that some threads do not reach") {
  const DeviceArray<float> y(128);
  for (auto* kernel : {barrier_in_a_branch, barrier_after_return}) {
    check_found("__syncthreads at", [&] { launch(kernel, dim3(2), dim3(128), 0, nullptr, y.data()); });
    check_found("was not reached by all threads", [&] { launch(kernel, dim3(2), dim3(128), 0, nullptr, y.data()); });
  }
  check_found("waits in __syncthreads at",
              [&] { launch(two_barriers_for_one, dim3(1), dim3(128), 0, nullptr, y.data()); });
  check_found("named_barrier at", [] { launch(named_barrier_of_too_few, dim3(1), dim3(64), 0, nullptr); });
}

TEST_CASE("a report names kernel, block, threads and the seed") {
  const DeviceArray<float> y(128);
  start_orders(7);
  launch(barrier_after_return, dim3(1), dim3(128), 0, nullptr, y.data());
  const std::string found = run_and_report();
  for (const char* part : {"barrier_after_return, block (0, 0, 0)", "threads 0-4, 6-127 (127 in all) wait",
                           "thread 5 (1 in all) is elsewhere or ended", "CSREFT_EMULATION_SEED=7"}) {
    CHECK_MESSAGE(found.find(part) != std::string::npos, found);
  }
}

TEST_CASE("shuffles without all lanes") {
  const DeviceArray<int> y(32);
  check_found("__shfl_xor_sync at", [&] { launch(shuffle_without_some, dim3(1), dim3(32), 0, nullptr, y.data()); });
  check_found("reads lane 20, which is not in the mask",
              [&] { launch(shuffle_outside_its_mask, dim3(1), dim3(32), 0, nullptr, y.data()); });
}

TEST_CASE("uninitialised shared memory is NaN") {
  const DeviceArray<float> y(128);
  launch(uninitialised_shared, dim3(2), dim3(128), 0, nullptr, y.data());
  const auto values = y.values();
  for (std::size_t i = 0; i < values.size(); ++i) CHECK(std::isnan(values[i]) == (i == 3));
}

TEST_CASE("accesses out of bounds") {
  if (!finds_races()) return;  // AddressSanitizer ends the programme there
  const DeviceArray<float> y(100), z(128);
  check_found("write of 4 bytes 0 bytes past the end of an allocation of 400 bytes",
              [&] { launch(past_the_end, dim3(1), dim3(128), 0, nullptr, y.data(), 100); });
  check_found("outside every shared variable", [&] { launch(past_shared, dim3(1), dim3(128), 0, nullptr, z.data()); });
}

TEST_CASE("vectors at addresses that are no multiple of their size") {
  if (!finds_races()) return;  // UndefinedBehaviorSanitizer reports it there
  const DeviceArray<float> x(std::vector<float>(12, 1.0F)), y(12);
  for (auto* kernel : {read_four_from, write_four_to}) {
    launch(kernel, dim3(1), dim3(1), 0, nullptr, x.data() + 4, y.data() + 8);
    CHECK(run_and_report() == "");
  }
  check_found("misaligned address: 4 bytes past a multiple of 16",
              [&] { launch(read_four_from, dim3(1), dim3(1), 0, nullptr, x.data() + 5, y.data()); });
  check_found("misaligned address: 8 bytes past a multiple of 16",
              [&] { launch(write_four_to, dim3(1), dim3(1), 0, nullptr, x.data(), y.data() + 6); });
}

TEST_CASE("addresses of the host in kernels") {
  const DeviceArray<float> y(1);
  const std::vector<float> host{1};
  CHECK_THROWS_WITH_AS(launch(read_argument, dim3(1), dim3(1), 0, nullptr, host.data(), y.data()),
                       doctest::Contains("argument 0 points into the host's memory"), std::runtime_error);
  forget_error();
  if (!finds_races()) return;
  check_found("read at", [&] { launch(read_inside, dim3(1), dim3(1), 0, nullptr, Inside{host.data()}, y.data()); });
  check_found("read at 0", [&] { launch(read_argument, dim3(1), dim3(1), 0, nullptr, nullptr, y.data()); });
}

TEST_CASE("launches that no device accepts") {
  const DeviceArray<float> y(1);
  const auto start = [&](dim3 grid, dim3 block, std::size_t shared) {
    launch(use_last_of, grid, block, shared, nullptr, static_cast<unsigned>(shared / sizeof(float)), y.data());
  };
  CHECK_THROWS_WITH(start(dim3(1), dim3(1025), 0), doctest::Contains("expected 1 to 1024"));
  CHECK_THROWS_WITH(start(dim3(0), dim3(32), 0), doctest::Contains("a grid of 0 x 1 x 1"));
  start(dim3(1), dim3(1), 99 * 1024);
  CHECK(y.values()[0] == 3);
  CHECK_THROWS_WITH(start(dim3(1), dim3(32), 99 * 1024 + 1), doctest::Contains("invalid argument"));
  CHECK(cudaFuncSetAttribute(missing_barrier, cudaFuncAttributeMaxDynamicSharedMemorySize, 300000) ==
        cudaErrorInvalidValue);
  cudaGetLastError();
}
