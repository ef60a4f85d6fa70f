// Launches: what the host may ask for, and their way into a stream.
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "block.h"
#include "core/base/error.h"
#include "memory.h"
#include "report.h"
#include "streams.h"
#include "symbol_name.h"

namespace csreft::emulation {
namespace {

constexpr std::size_t always_allowed = 48 * 1024;  // dynamic shared memory without cudaFuncSetAttribute

std::unordered_map<const void*, std::size_t>& allowed_shared() {
  static auto* const instance = new std::unordered_map<const void*, std::size_t>;
  return *instance;
}

void refuse(const Launch& launch, const std::string& why) {
  result(cudaErrorInvalidConfiguration);
  fail("launch of {}: {}", symbol_name(launch.kernel), why);
}

void check_configuration(const Launch& launch) {
  const auto& [grid, block] = std::pair(launch.grid, launch.block);
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > 1024 || block.z > 64) {
    refuse(launch, fmt::format("a block of {} x {} x {} threads; expected 1 to 1024", block.x, block.y, block.z));
  }
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffU || grid.y > 65535 || grid.z > 65535) {
    refuse(launch, fmt::format("a grid of {} x {} x {} blocks; expected 1 to 2147483647 x 65535 x 65535", grid.x,
                               grid.y, grid.z));
  }
  const auto found = allowed_shared().find(launch.kernel);
  const std::size_t allowed = found == allowed_shared().end() ? always_allowed : found->second;
  if (launch.dynamic_bytes > allowed) {
    refuse(launch,
           fmt::format("{} bytes of dynamic shared memory; the kernel may have {}", launch.dynamic_bytes, allowed));
  }
}

}  // namespace

std::size_t& started_kernels_so_far() {
  static std::size_t count = 0;
  return count;
}

void enqueue_launch(Launch launch, Stream* stream) {
  const std::lock_guard lock(entrance());
  check_configuration(launch);
  ++started_kernels_so_far();
  const auto name = launch.kernel;
  const cudaError_t error = enqueue(stream, [launch = std::move(launch)] { run_launch(launch); });
  require(result(error) == cudaSuccess, "launch of {}: {}", symbol_name(name), cudaGetErrorString(error));
}

void check_pointer_argument(const void* kernel, std::size_t position, const volatile void* pointer) {
  const std::lock_guard lock(entrance());
  if (pointer == nullptr || device_memory().contains(pointer)) return;
  set_fault(cudaErrorIllegalAddress,
            fmt::format("launch of {}: argument {} points into the host's memory", symbol_name(kernel), position));
}

}  // namespace csreft::emulation

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  using namespace csreft::emulation;
  const std::lock_guard lock(entrance());
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
      static_cast<std::size_t>(value) > most_shared) {
    return result(cudaErrorInvalidValue);
  }
  allowed_shared()[kernel] = static_cast<std::size_t>(value);
  return result(fault());
}
