// The shared memory of the block that runs: variables that kernels declare, then what the launch asked for. Variables
// are apart from each other. A block finds NaN in all of it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "emulation/device.h"

namespace csreft::emulation {

class SharedMemory {
 public:
  SharedMemory();

  void start_launch(std::size_t dynamic_bytes);
  void start_block();
  // nullptr if the kernel declares more than a block may have.
  void* variable(SharedSite& site, std::size_t bytes, std::size_t alignment);
  void* dynamic() const { return bytes_ + dynamic_begin; }

  // Where in the memory an address is; at least `size` if it is elsewhere.
  std::size_t offset(const volatile void* address) const {
    return static_cast<std::size_t>(static_cast<const volatile std::byte*>(address) - bytes_);
  }
  bool owns(std::size_t offset, std::size_t bytes) const { return valid_[offset] && valid_[offset + bytes - 1]; }

  static constexpr std::size_t dynamic_begin = 64 * 1024;  // above all variables and what keeps them apart
  static constexpr std::size_t size = dynamic_begin + 256 * 1024;

 private:
  std::byte* bytes_;
  bool* valid_;
  std::uint64_t launch_ = 0;
  std::size_t static_end_ = 0, static_bytes_ = 0, dynamic_bytes_ = 0;
};

}  // namespace csreft::emulation
