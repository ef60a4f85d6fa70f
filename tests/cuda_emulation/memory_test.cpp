// Memory of the device, copies, and the host that reads too early or where it must not.
#include <csignal>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "core/cuda/launch.h"
#include "device_array.h"

using csreft::cuda::launch;
using namespace csreft::emulation;

namespace {

__global__ void set_all(float* y, float value) { y[threadIdx.x] = value; }
__global__ void recurse(float* y, int depth) {
  volatile float frame[1024];
  frame[depth % 1024] = 1;
  if (depth > 0) recurse(y, depth - 1);
  y[0] = frame[depth % 1024];
}
__global__ void read_one(const float* x, float* y) { y[0] = x[0]; }

// What a child process that runs f writes to stderr before it dies by a signal; empty if it does not die.
template <typename F>
std::string words_of_death(F f) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    for (const int s : {SIGSEGV, SIGABRT}) signal(s, SIG_DFL);  // not doctest's handlers, which report a failed test
    csreft::emulation::watch_faults();
    dup2(ends[1], STDERR_FILENO);
    f();
    std::_Exit(EXIT_SUCCESS);
  }
  close(ends[1]);
  std::string out;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;) out.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS ? std::string() : out;
}

}  // namespace

TEST_CASE("new memory is NaN, and so is memory that was freed and comes back") {
  const DeviceArray<float> first(64);
  for (const float x : first.values()) CHECK(std::isnan(x));
  void* kept = nullptr;
  for (int i = 0; i < 3; ++i) {
    const DeviceArray<float> x(64);
    if (i > 0) CHECK(x.data() == kept);
    kept = x.data();
    for (const float value : x.values()) CHECK(std::isnan(value));
    launch(set_all, dim3(1), dim3(64), 0, nullptr, x.data(), 5.0F);
    CHECK(x.values()[63] == 5);
  }
}

TEST_CASE("the host cannot use addresses of the device") {
  const DeviceArray<float> x(100);
  cudaDeviceSynchronize();
  const auto words = words_of_death([&] { std::_Exit(static_cast<int>(x.data()[3])); });
  CHECK_MESSAGE(
      words.find("which is the device's memory: at byte 12 of an allocation of 400 bytes") != std::string::npos, words);
  CHECK(words_of_death([&] { x.data()[0] = 1; }).find("which is the device's memory") != std::string::npos);
}

TEST_CASE("a kernel whose stack is too large") {
  const DeviceArray<float> y(1);
  const auto words = words_of_death([&] {
    launch(recurse, dim3(1), dim3(1), 0, nullptr, y.data(), 1000);
    cudaDeviceSynchronize();
  });
  CHECK_MESSAGE(words.find("recurse, block (0, 0, 0), thread (0, 0, 0): fault at") != std::string::npos, words);
}

TEST_CASE("a result is not there before it is waited for") {
  cudaStream_t stream = nullptr;
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  const DeviceArray<float> x(1);
  float* pinned = nullptr;
  REQUIRE(cudaMallocHost(&pinned, sizeof(float)) == cudaSuccess);
  *pinned = 3;
  launch(set_all, dim3(1), dim3(1), 0, stream, x.data(), 7.0F);
  REQUIRE(cudaMemcpyAsync(pinned, x.data(), sizeof(float), cudaMemcpyDeviceToHost, stream) == cudaSuccess);
  CHECK(std::isnan(*pinned));
  // The default stream does not wait for one that does not block.
  CHECK(std::isnan(x.values()[0]));
  CHECK(cudaStreamQuery(stream) == cudaErrorNotReady);
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(*pinned == 7);
  CHECK(cudaStreamQuery(stream) == cudaSuccess);
  CHECK(x.values()[0] == 7);
  CHECK(cudaFreeHost(pinned) == cudaSuccess);
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}

TEST_CASE("pinned memory that changes too early reaches the device changed; pageable memory does not") {
  cudaStream_t stream = nullptr;
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  const DeviceArray<float> x(1), y(1);
  float* pinned = nullptr;
  REQUIRE(cudaMallocHost(&pinned, sizeof(float)) == cudaSuccess);
  float pageable = *pinned = 1;
  REQUIRE(cudaMemcpyAsync(x.data(), pinned, sizeof(float), cudaMemcpyHostToDevice, stream) == cudaSuccess);
  REQUIRE(cudaMemcpyAsync(y.data(), &pageable, sizeof(float), cudaMemcpyHostToDevice, stream) == cudaSuccess);
  pageable = *pinned = 2;
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(x.values()[0] == 2);
  CHECK(y.values()[0] == 1);
  CHECK(cudaFreeHost(pinned) == cudaSuccess);
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}

TEST_CASE("copies and fills that do not fit, or go the wrong way") {
  const DeviceArray<float> x(10);
  std::vector<float> host(20);
  const auto bytes = [](std::size_t n) { return n * sizeof(float); };
  CHECK(cudaMemcpy(x.data(), host.data(), bytes(11), cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host.data(), x.data() + 1, bytes(10), cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host.data(), x.data(), bytes(10), cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(x.data(), host.data(), bytes(10), cudaMemcpyDeviceToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemset(x.data(), 0, bytes(11)) == cudaErrorInvalidValue);
  CHECK(cudaMemset(host.data(), 0, bytes(10)) == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(cudaMemset(x.data(), 0, bytes(10)) == cudaSuccess);
  CHECK(x.values() == std::vector<float>(10, 0.0F));
}

TEST_CASE("memory that is freed twice, or used after it was freed") {
  void* pointer = nullptr;
  REQUIRE(cudaMalloc(&pointer, 64) == cudaSuccess);
  CHECK(cudaFree(pointer) == cudaSuccess);
  CHECK(cudaFree(pointer) == cudaErrorIllegalAddress);
  CHECK(run_and_report().find("free of") != std::string::npos);
  if (!finds_races()) return;
  const DeviceArray<float> y(1);
  float* x = nullptr;
  REQUIRE(cudaMallocAsync(&x, sizeof(float), nullptr) == cudaSuccess);
  REQUIRE(cudaFreeAsync(x, nullptr) == cudaSuccess);
  launch(read_one, dim3(1), dim3(1), 0, nullptr, x, y.data());
  CHECK(run_and_report().find("read of 4 bytes in") != std::string::npos);
}

TEST_CASE("an error of a kernel stays") {
  if (!finds_races()) return;
  const DeviceArray<float> y(10);
  launch(set_all, dim3(1), dim3(11), 0, nullptr, y.data(), 1.0F);
  CHECK(cudaDeviceSynchronize() == cudaErrorIllegalAddress);
  void* pointer = nullptr;
  CHECK(cudaMalloc(&pointer, 64) == cudaErrorIllegalAddress);
  CHECK(cudaGetLastError() == cudaErrorIllegalAddress);
  CHECK(cudaGetLastError() == cudaErrorIllegalAddress);
  CHECK(std::string(cudaGetErrorString(cudaErrorIllegalAddress)).find("set_all") != std::string::npos);
  CHECK_THROWS(launch(set_all, dim3(1), dim3(1), 0, nullptr, y.data(), 1.0F));
  forget_error();
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
}

TEST_CASE("a device that is full") {
  std::size_t free = 0, total = 0;
  REQUIRE(cudaMemGetInfo(&free, &total) == cudaSuccess);
  set_device_memory(total - free + 1000);
  void* pointer = nullptr;
  CHECK(cudaMalloc(&pointer, 1001) == cudaErrorMemoryAllocation);
  CHECK(pointer == nullptr);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaMalloc(&pointer, 1000) == cudaSuccess);
  CHECK(cudaFree(pointer) == cudaSuccess);
  set_device_memory(total);
}

TEST_CASE("the pool asks the driver for what freed memory does not serve, and keeps what its threshold says") {
  cudaStream_t stream = nullptr;
  REQUIRE(cudaStreamCreate(&stream) == cudaSuccess);
  cudaMemPool_t pool = nullptr;
  REQUIRE(cudaDeviceGetDefaultMemPool(&pool, 0) == cudaSuccess);
  std::uint64_t before = 0, threshold = 0;
  REQUIRE(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &before) == cudaSuccess);
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  REQUIRE(cudaMemPoolTrimTo(pool, 0) == cudaSuccess);
  const auto requests = [&](std::size_t bytes) {
    const std::size_t so_far = driver_requests();
    void* pointer = nullptr;
    REQUIRE(cudaMallocAsync(&pointer, bytes, stream) == cudaSuccess);
    REQUIRE(cudaFreeAsync(pointer, stream) == cudaSuccess);
    return driver_requests() - so_far;
  };
  for (const bool keeps : {true, false}) {
    threshold = keeps ? ~std::uint64_t{0} : 0;
    REQUIRE(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold) == cudaSuccess);
    CHECK(requests(keeps ? 1000 : 2000) == 1);
    CHECK(requests(keeps ? 1000 : 2000) == 0);  // in the order of the stream the first is free by then
    CHECK(requests(500) == 0);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(requests(1000) == (keeps ? 0 : 1));
  }
  const std::size_t so_far = driver_requests();
  void *device = nullptr, *pinned = nullptr;
  REQUIRE(cudaMalloc(&device, 10) == cudaSuccess);
  REQUIRE(cudaMallocHost(&pinned, 10) == cudaSuccess);
  CHECK(driver_requests() == so_far + 2);
  CHECK(cudaFree(device) == cudaSuccess);
  CHECK(cudaFreeHost(pinned) == cudaSuccess);
  REQUIRE(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &before) == cudaSuccess);
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}

TEST_CASE("allocations of many sizes keep their bytes apart") {
  std::mt19937 random(1);
  std::vector<std::pair<unsigned char*, std::size_t>> taken;
  for (int i = 0; i < 3000; ++i) {
    if (taken.size() > 50 || (!taken.empty() && random() % 3 == 0)) {
      const std::size_t pick = random() % taken.size();
      const auto [data, bytes] = taken[pick];
      std::vector<unsigned char> values(bytes);
      REQUIRE(cudaMemcpy(values.data(), data, bytes, cudaMemcpyDeviceToHost) == cudaSuccess);
      REQUIRE(values == std::vector<unsigned char>(bytes, static_cast<unsigned char>(bytes)));
      REQUIRE(cudaFree(data) == cudaSuccess);
      taken[pick] = taken.back();
      taken.pop_back();
    } else {
      unsigned char* data = nullptr;
      const std::size_t bytes = 1 + random() % 3000;
      REQUIRE(cudaMalloc(&data, bytes) == cudaSuccess);
      REQUIRE(cudaMemset(data, static_cast<int>(bytes % 256), bytes) == cudaSuccess);
      taken.emplace_back(data, bytes);
    }
  }
  for (const auto& [data, bytes] : taken) REQUIRE(cudaFree(data) == cudaSuccess);
}

TEST_CASE("bytes are counted by direction, when they are copied") {
  cudaStream_t stream = nullptr;
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  const DeviceArray<float> x(10), y(10);
  float* pinned = nullptr;
  REQUIRE(cudaMallocHost(&pinned, 10 * sizeof(float)) == cudaSuccess);
  const CopiedBytes before = copied_bytes();
  CHECK(cudaMemcpyAsync(pinned, x.data(), 12, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
  CHECK(cudaMemcpyAsync(y.data(), x.data(), 40, cudaMemcpyDeviceToDevice, stream) == cudaSuccess);
  CHECK(copied_bytes().to_host == before.to_host);
  CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(cudaMemcpy(y.data(), pinned, 8, cudaMemcpyHostToDevice) == cudaSuccess);
  CHECK(copied_bytes().to_host == before.to_host + 12);
  CHECK(copied_bytes().to_device == before.to_device + 8);
  CHECK(cudaFreeHost(pinned) == cudaSuccess);
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}
