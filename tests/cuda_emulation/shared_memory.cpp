#include "shared_memory.h"

#include <cstring>
#include <new>

#include "block.h"
#include "sanitizer.h"

namespace csreft::emulation {
namespace {

constexpr std::size_t guard = 64;

}  // namespace

SharedMemory::SharedMemory()
    : bytes_(static_cast<std::byte*>(::operator new (size, std::align_val_t{1024}))), valid_(new bool[size]{}) {
  sanitizer::forbid(bytes_, size);
}

void SharedMemory::start_launch(std::size_t dynamic_bytes) {
  sanitizer::forbid(bytes_, size);
  std::memset(valid_, 0, static_end_);
  std::memset(valid_ + dynamic_begin, 0, dynamic_bytes_);
  ++launch_;
  static_end_ = static_bytes_ = 0;
  dynamic_bytes_ = dynamic_bytes;
  std::memset(valid_ + dynamic_begin, 1, dynamic_bytes);
  sanitizer::allow(bytes_ + dynamic_begin, dynamic_bytes);
}

void SharedMemory::start_block() {
  for (std::size_t i = 0; i < static_end_; ++i) {
    if (valid_[i]) bytes_[i] = std::byte{0xff};
  }
  std::memset(bytes_ + dynamic_begin, 0xff, dynamic_bytes_);
}

void* SharedMemory::variable(SharedSite& site, std::size_t bytes, std::size_t alignment) {
  if (site.launch == launch_) return site.address;
  const std::size_t begin = (static_end_ + alignment - 1) / alignment * alignment;
  static_bytes_ += bytes;
  if (static_bytes_ > most_static_shared || static_bytes_ + dynamic_bytes_ > most_shared ||
      begin + bytes + guard > dynamic_begin)
    return nullptr;
  static_end_ = begin + (bytes + 7) / 8 * 8 + guard;
  std::memset(valid_ + begin, 1, bytes);
  sanitizer::allow(bytes_ + begin, bytes);
  std::memset(bytes_ + begin, 0xff, bytes);
  site = {launch_, bytes_ + begin};
  return site.address;
}

}  // namespace csreft::emulation
