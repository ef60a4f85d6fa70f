// What the backend keeps for each device: its stream, its cuBLAS handle, its memory, and the ways of small and large
// arrays to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/cuda/allocator.h"
#include "core/cuda/runtime.h"
#include "core/cuda/staging.h"
#include "core/cuda/uploads.h"
#include "core/tensor/tensor.h"

namespace csreft::cuda {

// All work on a device goes through one stream, so everything happens in the order in which it was started; large
// arrays of the host come in by another, which waits for the first and is waited for by it.
struct Context {
  explicit Context(int device);

  int index;
  cudaStream_t stream;
  cublasHandle_t blas = nullptr;
  Allocator allocator;
  Uploads uploads;
  Staging staging;
};

// The device's context, made when first asked for; the device becomes the calling thread's current one. Contexts live
// as long as the process.
Context& context(int index);
inline Context& context(const Tensor& t) { return context(t.device().index); }

// The elements of a tensor on a device, for kernels.
template <typename T>
T* elements(const Tensor& t) {
  return static_cast<T*>(t.raw());
}

// A copy on the device of an index tensor (itself if it lies there), of rope's frequencies or of a kernel's list of
// work: valid for work that is started before the next Uploads::kept uploads. The host does not wait.
template <typename T>
const T* upload(Context& device, std::span<const T> values) {
  return static_cast<const T*>(device.uploads.get(values.data(), values.size_bytes(), device.stream));
}
inline const std::int32_t* upload(Context& device, const Tensor& index) {
  if (index.device().type == DeviceType::cuda) return elements<const std::int32_t>(index);
  return upload(device, std::span<const std::int32_t>(index.span<std::int32_t>()));
}

}  // namespace csreft::cuda
