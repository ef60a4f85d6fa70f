#include "core/cuda/context.h"

#include <array>
#include <memory>
#include <mutex>

#include "core/cuda/check.h"
#include "core/cuda/device.h"

namespace csreft::cuda {
namespace {

constexpr int max_devices = 64;

// Never destroyed: tensors with static storage duration may outlive it, and the driver ends before the process does.
struct Contexts {
  std::mutex mutex;
  std::array<std::unique_ptr<Context>, max_devices> contexts;
};

Contexts& contexts() {
  static Contexts* const all = new Contexts;
  return *all;
}

// Freed memory stays with the pool, whatever the host waits for.
void keep_freed_memory(int index) {
  cudaMemPool_t pool = nullptr;
  check(cudaDeviceGetDefaultMemPool(&pool, index), "cudaDeviceGetDefaultMemPool");
  std::uint64_t threshold = ~std::uint64_t{0};
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold), "cudaMemPoolSetAttribute");
}

cudaStream_t make_stream(int index) {
  keep_freed_memory(index);
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return stream;
}

// cuBLAS would allocate its own within a capture. It has this one from the start, because which algorithm it takes
// depends on the workspace: the bits of a product would depend on whether work was recorded before. The size is what
// cuBLAS recommends for Hopper. It does not count as held by tensors, and stays as long as the process.
void give_workspace(cublasHandle_t blas, cudaStream_t stream) {
  constexpr std::size_t bytes = std::size_t{32} << 20U;
  void* workspace = nullptr;
  check(cudaMallocAsync(&workspace, bytes, stream), "cudaMallocAsync");
  check(cublasSetWorkspace(blas, workspace, bytes), "cublasSetWorkspace");
}

}  // namespace

Context::Context(int device)
    : index(device), stream(make_stream(device)), allocator(device, stream), uploads(allocator) {
  check(cublasCreate(&blas), "cublasCreate");
  check(cublasSetStream(blas, stream), "cublasSetStream");
  // f32 products in f32, not in TF32, which keeps 10 bits of the fraction.
  check(cublasSetMathMode(blas, CUBLAS_DEFAULT_MATH), "cublasSetMathMode");
  give_workspace(blas, stream);
}

Context& context(int index) {
  require(0 <= index && index < max_devices, "no device cuda:{}: expected 0 to {}", index, max_devices - 1);
  thread_local int current = -1;
  if (current != index) {
    check_device(index);
    check(cudaSetDevice(index), "cudaSetDevice");
    current = index;
  }
  Contexts& all = contexts();
  const std::lock_guard lock(all.mutex);
  auto& slot = all.contexts[static_cast<std::size_t>(index)];
  if (!slot) slot = std::make_unique<Context>(index);
  return *slot;
}

}  // namespace csreft::cuda
