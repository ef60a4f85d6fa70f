// Device memory, and copies between host and device.
#include "core/cuda/check.h"
#include "core/cuda/context.h"
#include "core/cuda/device_info.h"
#include "core/cuda/graph.h"
#include "core/cuda/primitives.h"

namespace csreft::cuda {
namespace {

[[noreturn]] void fail_out_of_memory(std::size_t bytes, const Context& device) {
  constexpr auto mib = [](std::size_t n) { return static_cast<double>(n) * 0x1p-20; };
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  fail(
      "out of memory on cuda:{}: {:.1f} MiB asked for, {:.1f} MiB held by tensors, {:.1f} of {:.1f} MiB free; expected "
      "frozen weights in half the memory (--weights bf16), fewer tokens at a time (--tokens-per-pass, --batch) or "
      "shorter sequences (--max-length)",
      device.index, mib(bytes), mib(device.held.now), mib(free), mib(total));
}

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

void HeldMemory::add(std::size_t bytes) {
  const std::size_t held = now += bytes;
  std::size_t most = peak;
  while (held > most && !peak.compare_exchange_weak(most, held)) {
  }
}

std::shared_ptr<void> allocate(std::size_t bytes, int index) {
  if (const auto& graph = current_graph_memory()) return graph->take(bytes);
  return allocate_block(bytes, index);
}

std::shared_ptr<void> allocate_block(std::size_t bytes, int index) {
  Context& device = context(index);
  const std::size_t asked = std::max<std::size_t>(bytes, 1);
  void* data = nullptr;
  const cudaError_t status = cudaMallocAsync(&data, asked, device.stream);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());  // this error does not stick: the next call must not see it
    fail_out_of_memory(bytes, device);
  }
  check(status, "cudaMallocAsync");
  device.held.add(asked);
  return {data, [asked, &device](void* p) {
            device.held.now -= asked;
            const auto& graph = current_graph_memory();
            if (graph != nullptr && graph->is_capturing()) return graph->free_later(p);
            // A failure here is an earlier one, which the next checked call reports: destructors do not throw.
            static_cast<void>(cudaFreeAsync(p, device.stream));
          }};
}

void set_zero(void* data, std::size_t bytes, int index) {
  if (bytes == 0) return;
  check(cudaMemsetAsync(data, 0, bytes, context(index).stream), "cudaMemsetAsync");
}

void copy(void* to, const Device& to_device, const void* from, const Device& from_device, std::size_t bytes) {
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

DeviceMemory device_memory(int index) {
  const HeldMemory& held = context(index).held;
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return {.used = held.now, .peak = held.peak, .total = total};
}

void reset_peak_memory(int index) {
  HeldMemory& held = context(index).held;
  held.peak = held.now.load();
}

void synchronize(int index) { check(cudaStreamSynchronize(context(index).stream), "cudaStreamSynchronize"); }

}  // namespace csreft::cuda
