#include "core/cuda/memory.h"

#include "core/cuda/check.h"
#include "core/cuda/context.h"
#include "core/cuda/graph_memory.h"

namespace csreft::cuda {
namespace {

// What follows in `stream` waits for what `other` was given so far; the other's device is the thread's current one.
void wait_for(cudaStream_t other, cudaStream_t stream) {
  cudaEvent_t done = nullptr;
  check(cudaEventCreateWithFlags(&done, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  const cudaError_t recorded = cudaEventRecord(done, other);
  const cudaError_t waits = recorded == cudaSuccess ? cudaStreamWaitEvent(stream, done, 0) : recorded;
  // The driver keeps the event until it has happened.
  static_cast<void>(cudaEventDestroy(done));
  check(waits, "cudaStreamWaitEvent");
}

// From one device to another. The source may be freed, and its memory used again in its stream, as soon as this
// returns: that stream waits for the copy.
void copy_between(const Context& from_device, const Context& to_device, void* to, const void* from, std::size_t bytes) {
  context(from_device.index);
  wait_for(from_device.stream, to_device.stream);
  context(to_device.index);
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, to_device.stream), "cudaMemcpyAsync");
  wait_for(to_device.stream, from_device.stream);
}

}  // namespace

std::shared_ptr<void> allocate(std::size_t bytes, int index) {
  if (const auto& graph = current_graph_memory()) return graph->take(bytes);
  return context(index).allocator.allocate(bytes);
}

void set_zero(void* data, std::size_t bytes, int index) {
  if (bytes == 0) return;
  check(cudaMemsetAsync(data, 0, bytes, context(index).stream), "cudaMemsetAsync");
}

void copy_bytes(void* to, const Device& to_device, const void* from, const Device& from_device, std::size_t bytes) {
  if (bytes == 0) return;
  const bool to_host = to_device.type == DeviceType::cpu, from_host = from_device.type == DeviceType::cpu;
  if (!to_host && !from_host && to_device != from_device) {
    return copy_between(context(from_device.index), context(to_device.index), to, from, bytes);
  }
  Context& device = context(to_host ? from_device.index : to_device.index);
  if (from_host && bytes >= Staging::least_bytes) return device.staging.copy(to, from, bytes, device.stream);
  const cudaMemcpyKind kind =
      to_host ? cudaMemcpyDeviceToHost : (from_host ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToDevice);
  check(cudaMemcpyAsync(to, from, bytes, kind, device.stream), "cudaMemcpyAsync");
  if (to_host || from_host) check(cudaStreamSynchronize(device.stream), "cudaStreamSynchronize");
}

void synchronize(int index) { check(cudaStreamSynchronize(context(index).stream), "cudaStreamSynchronize"); }

}  // namespace csreft::cuda
