// Memory of CUDA devices, and copies of it, for Backend.
#pragma once

#include <cstddef>
#include <memory>

#include "core/device/device.h"

namespace csreft::cuda {

// Of a graph's memory while this thread does its work (graph.h), of the device's allocator otherwise.
std::shared_ptr<void> allocate(std::size_t bytes, int index);
void set_zero(void* data, std::size_t bytes, int index);
void copy_bytes(void* to, const Device& to_device, const void* from, const Device& from_device, std::size_t bytes);

// Waits for everything that was started on the device.
void synchronize(int index);

}  // namespace csreft::cuda
