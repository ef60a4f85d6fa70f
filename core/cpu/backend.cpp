#include "core/cpu/backend.h"

#include <cstring>
#include <utility>
#include <vector>

#include <unistd.h>

#include "core/cpu/allocator.h"
#include "core/cpu/ops.h"
#include "core/cpu/packed_matrix.h"
#include "core/cpu/stored_products.h"
#include "core/device/device.h"
#include "core/device/device_info.h"

namespace csreft::cpu {
namespace {

DeviceMemory device_memory(int /*index*/) {
  const HostMemory host = host_memory();
  return {
      .used = host.used,
      .peak = host.used + host.kept,
      .total = static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))};
}

void copy_host_bytes(void* to, const Device& /*to_device*/, const void* from, const Device& /*from_device*/,
                     std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

// The bytes are kept as they are now: the work may write others before they are read.
CopyToHost copy_to_host(std::size_t capacity, int /*index*/) {
  const auto kept = std::make_shared<std::vector<std::byte>>(capacity);
  return {.start =
              [kept](const void* from, std::size_t bytes) {
                if (bytes > 0) std::memcpy(kept->data(), from, bytes);
              },
          .wait = [kept]() -> const void* { return kept->data(); }};
}

}  // namespace

const Backend& backend() {
  static const Backend instance{
      .check_device = [](int) {},
      .device_name = [](int) { return std::string("host"); },
      .device_memory = device_memory,
      .reset_peak_memory = [](int) { release_kept_host_memory(); },
      .synchronize = [](int) {},  // nothing is ever pending
      .allocate = [](std::size_t bytes, int) { return allocate_host(bytes); },
      .set_zero = [](void* data, std::size_t bytes, int) { std::memset(data, 0, bytes); },
      .copy_bytes = copy_host_bytes,
      .copy_to_host = copy_to_host,
      .record = [](std::function<void()> work, int) { return work; },
      .pack = pack_weight,
      .pack_stored = pack_stored,
      .copied_bytes = copied_bytes,
#define PRIMITIVE(result, name, ...) .name = cpu::name,
#include "core/device/primitives.inc"
#undef PRIMITIVE
  };
  return instance;
}

}  // namespace csreft::cpu
