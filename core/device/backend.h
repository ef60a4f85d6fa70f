// What a kind of device does for the rest of core: its memory and the primitives that run there. A backend fills one
// Backend; core/cpu and core/cuda are two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace csreft {

struct Device;
struct DeviceMemory;
struct PackedProducts;
class StoredMatrix;
class Tensor;
enum class Packing;

namespace ops {
enum class StiefelMetric;
enum class StiefelRetraction;
enum class Transpose;
struct AdamWUpdate;
struct Attention;
struct AttentionHeads;
struct AttentionLayout;
struct Sampling;
struct SgdFactors;
struct StepInputs;
struct StiefelUpdate;
}  // namespace ops

// Copies of up to a fixed number of bytes to the host, one at a time.
struct CopyToHost {
  // Asks for bytes of the device, as the work that has been started so far leaves them. The host goes on.
  std::function<void(const void* from, std::size_t bytes)> start;
  // Waits for the bytes that were asked for last; they are valid until the next start.
  std::function<const void*()> wait;
};

// `index` tells devices of one kind apart. Work on a device is done in the order in which it was started. Functions
// throw Error where the device cannot do what is asked.
struct Backend {
  // Throws Error, in one line that names what is missing (the build, the driver, the device), unless work can be done
  // on the device.
  void (*check_device)(int index);
  // What core/device/device_info.h says.
  std::string (*device_name)(int index);
  DeviceMemory (*device_memory)(int index);
  void (*reset_peak_memory)(int index);
  // Waits for everything that was started on the device.
  void (*synchronize)(int index);

  // At least `bytes` bytes, uninitialised. Freed memory is kept and handed out again, so that a training step after
  // the first asks the system or the driver for nothing. Throws Error when there is not enough, saying how much was
  // asked for and held.
  std::shared_ptr<void> (*allocate)(std::size_t bytes, int index);
  void (*set_zero)(void* data, std::size_t bytes, int index);
  // Between two devices of this kind, or between one and the host. When a copy to the host returns, the bytes are
  // there; when a copy from the host returns, the host's memory may change.
  void (*copy_bytes)(void* to, const Device& to_device, const void* from, const Device& from_device, std::size_t bytes);
  CopyToHost (*copy_to_host)(std::size_t capacity, int index);
  // The same work, made to be done again and again: core/device/recording.h.
  std::function<void()> (*record)(std::function<void()> work, int index);
  // The products of a frozen matrix, f32 or f64: core/ops/packed_matrix.h.
  PackedProducts (*pack)(const Tensor& weight, Packing packing);
  // Of one as a file stores it; the host's alone, other devices get it decoded.
  PackedProducts (*pack_stored)(const StoredMatrix& weight, Packing packing) = nullptr;
  std::int64_t (*copied_bytes)(Packing packing, bool is_stored) = nullptr;  // the same; core/ops/packed_matrix.h

#define PRIMITIVE(result, name, ...) result (*name)(__VA_ARGS__);
#include "core/device/primitives.inc"
#undef PRIMITIVE
};

// Defined in core/registry.cpp, the one file that knows all backends.

// The backend of a device's kind.
const Backend& backend_of(const Device& device);

// Copies bytes from any device to any other; by the backend of the one that is not the host.
void copy_bytes(void* to, const Device& to_device, const void* from, const Device& from_device, std::size_t bytes);

}  // namespace csreft
