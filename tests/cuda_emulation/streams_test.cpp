// Streams, events, graphs and the properties of the device.
#include <cstring>
#include <string>
#include <vector>

#include "core/cuda/launch.h"
#include "device_array.h"

using csreft::cuda::launch;
using namespace csreft::emulation;

namespace {

__global__ void add_to(float* y, float value) { y[0] += value; }
__global__ void scale_by(float* y, float value) { y[0] *= value; }

struct TwoStreams {
  cudaStream_t a = nullptr, b = nullptr;
  explicit TwoStreams(unsigned flags = cudaStreamNonBlocking) {
    REQUIRE(cudaStreamCreateWithFlags(&a, flags) == cudaSuccess);
    REQUIRE(cudaStreamCreateWithFlags(&b, flags) == cudaSuccess);
  }
  ~TwoStreams() {
    cudaStreamDestroy(a);
    cudaStreamDestroy(b);
  }
  TwoStreams(const TwoStreams&) = delete;
  TwoStreams& operator=(const TwoStreams&) = delete;
};

}  // namespace

TEST_CASE("an event orders two streams, and without it they are not ordered") {
  const TwoStreams streams;
  for (const bool waits : {true, false}) {
    const DeviceArray<float> x(std::vector<float>{1});
    cudaEvent_t event = nullptr;
    REQUIRE(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
    launch(add_to, dim3(1), dim3(1), 0, streams.a, x.data(), 2.0F);
    REQUIRE(cudaEventRecord(event, streams.a) == cudaSuccess);
    if (waits) REQUIRE(cudaStreamWaitEvent(streams.b, event, 0) == cudaSuccess);
    launch(scale_by, dim3(1), dim3(1), 0, streams.b, x.data(), 10.0F);
    REQUIRE(cudaStreamSynchronize(streams.b) == cudaSuccess);
    CHECK(cudaEventQuery(event) == (waits ? cudaSuccess : cudaErrorNotReady));
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    CHECK(x.values()[0] == (waits ? 30 : 12));
    CHECK(cudaEventDestroy(event) == cudaSuccess);
  }
}

TEST_CASE("an event is waited for without what comes after it") {
  const TwoStreams streams;
  const DeviceArray<float> x(std::vector<float>{1});
  cudaEvent_t event = nullptr;
  REQUIRE(cudaEventCreate(&event) == cudaSuccess);
  REQUIRE(cudaEventRecord(event, streams.a) == cudaSuccess);
  launch(add_to, dim3(1), dim3(1), 0, streams.a, x.data(), 2.0F);
  REQUIRE(cudaEventSynchronize(event) == cudaSuccess);
  CHECK(x.values()[0] == 1);
  cudaEvent_t later = nullptr;
  REQUIRE(cudaEventCreate(&later) == cudaSuccess);
  REQUIRE(cudaEventRecord(later, streams.a) == cudaSuccess);
  float milliseconds = -1;
  CHECK(cudaEventElapsedTime(&milliseconds, event, later) == cudaErrorNotReady);
  REQUIRE(cudaEventSynchronize(later) == cudaSuccess);
  CHECK(cudaEventElapsedTime(&milliseconds, event, later) == cudaSuccess);
  CHECK(milliseconds >= 0);
  CHECK(x.values()[0] == 3);
  CHECK(cudaEventDestroy(event) == cudaSuccess);
  CHECK(cudaEventDestroy(later) == cudaSuccess);
}

TEST_CASE("the default stream waits for blocking streams, and they for it") {
  const TwoStreams streams(cudaStreamDefault);
  const DeviceArray<float> x(std::vector<float>{1});
  launch(add_to, dim3(1), dim3(1), 0, streams.a, x.data(), 2.0F);
  launch(scale_by, dim3(1), dim3(1), 0, nullptr, x.data(), 10.0F);
  launch(add_to, dim3(1), dim3(1), 0, streams.b, x.data(), 5.0F);
  REQUIRE(cudaStreamSynchronize(streams.b) == cudaSuccess);
  CHECK(x.values()[0] == 35);
}

TEST_CASE("a graph does again what its stream was given") {
  const TwoStreams streams;
  const DeviceArray<float> x(std::vector<float>{1});
  REQUIRE(cudaStreamBeginCapture(streams.a, cudaStreamCaptureModeGlobal) == cudaSuccess);
  launch(add_to, dim3(1), dim3(1), 0, streams.a, x.data(), 2.0F);
  launch(scale_by, dim3(1), dim3(1), 0, streams.a, x.data(), 10.0F);
  cudaGraph_t graph = nullptr;
  REQUIRE(cudaStreamEndCapture(streams.a, &graph) == cudaSuccess);
  REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
  CHECK(x.values()[0] == 1);  // only captured
  cudaGraphExec_t executable = nullptr;
  REQUIRE(cudaGraphInstantiate(&executable, graph, 0) == cudaSuccess);
  CHECK(cudaGraphDestroy(graph) == cudaSuccess);
  for (int i = 0; i < 2; ++i) REQUIRE(cudaGraphLaunch(executable, streams.b) == cudaSuccess);
  REQUIRE(cudaStreamSynchronize(streams.b) == cudaSuccess);
  CHECK(x.values()[0] == ((1 + 2) * 10 + 2) * 10);
  CHECK(cudaGraphExecDestroy(executable) == cudaSuccess);
}

TEST_CASE("waiting and allocating while a stream is captured spoil the graph") {
  const TwoStreams streams;
  void* pointer = nullptr;
  cudaGraph_t graph = nullptr;
  for (const int how : {0, 1, 2}) {
    REQUIRE(cudaStreamBeginCapture(streams.a, cudaStreamCaptureModeGlobal) == cudaSuccess);
    const auto error = how == 0   ? cudaStreamSynchronize(streams.a)
                       : how == 1 ? cudaDeviceSynchronize()
                                  : cudaMalloc(&pointer, 64);
    CHECK(error == cudaErrorStreamCaptureUnsupported);
    CHECK(cudaStreamEndCapture(streams.a, &graph) == cudaErrorStreamCaptureInvalidated);
  }
  cudaGetLastError();
}

TEST_CASE("100,000 launches and allocations in a stream") {
  const TwoStreams streams;
  const DeviceArray<float> x(std::vector<float>{0});
  for (int i = 0; i < 100'000; ++i) {
    float* block = nullptr;
    REQUIRE(cudaMallocAsync(&block, 256, streams.a) == cudaSuccess);
    launch(add_to, dim3(1), dim3(1), 0, streams.a, x.data(), 1.0F);
    REQUIRE(cudaFreeAsync(block, streams.a) == cudaSuccess);
  }
  REQUIRE(cudaStreamSynchronize(streams.a) == cudaSuccess);
  CHECK(x.values()[0] == 100'000);
}

TEST_CASE("the device says that it is emulated, and there is one") {
  int count = 0;
  REQUIRE(cudaGetDeviceCount(&count) == cudaSuccess);
  CHECK(count == 1);
  cudaDeviceProp properties;
  REQUIRE(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
  CHECK(std::string(properties.name) == "emulated");
  CHECK(cudaSetDevice(1) == cudaErrorInvalidDevice);
  CHECK(std::string(cudaGetErrorName(cudaErrorInvalidDevice)) == "cudaErrorInvalidDevice");
  cudaGetLastError();
}
