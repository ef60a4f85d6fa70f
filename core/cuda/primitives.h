// What the rest of core sees of the CUDA backend. A build without CUDA links absent.cpp, whose every function throws
// Error: whoever holds a device has got past check_device, so only that function is ever reached there.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "core/device/device.h"
#include "core/device/primitives.h"

namespace csreft::cuda {

const Primitives& primitives();

// Throws Error, in one line, unless work can be done on the device: says whether the build, the driver or the device
// is missing.
void check_device(int index);

// At least `bytes` bytes on the device, uninitialised. Freed memory is kept and handed out again in the order of the
// device's stream, so that a training step after the first asks the driver for nothing. Throws Error when there is not
// enough, saying how much was asked for, held and free.
std::shared_ptr<void> allocate(std::size_t bytes, int index);

void set_zero(void* data, std::size_t bytes, int index);
// y = x, f32, bf16 and f64 among each other; equal shapes, one device.
void cast(const Tensor& x, const Tensor& y);

// Copies between host and device, or between devices. When a copy to the host returns, the values are there; when a
// copy from the host returns, the host's memory may change.
void copy(void* to, const Device& to_device, const void* from, const Device& from_device, std::size_t bytes);

// Waits for everything that was started on the device.
void synchronize(int index);

// Work that is done again and again: recording.h.
class Graph;
std::shared_ptr<Graph> make_graph(int index);
void run_in_graph(Graph& graph, const std::function<void()>& work);

// Small copies to the host that the host does not wait for until it asks: readback.h.
class PinnedCopy;
std::shared_ptr<PinnedCopy> make_pinned_copy(std::size_t bytes, int index);
void start_copy(PinnedCopy& copy, const Tensor& values);
const void* finish_copy(PinnedCopy& copy);

}  // namespace csreft::cuda
