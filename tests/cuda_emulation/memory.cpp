#include "memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <new>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faults.h"
#include "sanitizer.h"

namespace csreft::emulation {
namespace {

constexpr std::size_t alignment = 256;  // CUDA's
constexpr std::size_t guard = 256;      // between allocations

std::size_t total_of_environment() {
  const char* const text = std::getenv("CSREFT_EMULATION_MEMORY");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : std::size_t{8} << 30;
}

std::size_t round_up(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment + guard; }

void* map(std::size_t bytes, int protection, int flags, int file) {
  void* const address = mmap(nullptr, bytes, protection, flags | MAP_NORESERVE, file, 0);
  if (address == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "cannot map the emulated memory");
  return address;
}

class Blocks {
 public:
  std::map<std::size_t, std::size_t> taken;  // offset -> bytes asked for

  // The offset of a free range: the smallest that is large enough, or the end of all, which moves.
  std::size_t take(std::size_t size, std::size_t& end) {
    const auto found = by_size_.lower_bound({size, 0});
    if (found == by_size_.end()) {
      end += size;
      return end - size;
    }
    const auto [free, begin] = *found;
    by_size_.erase(found);
    free_.erase(begin);
    if (free > size) give(begin + size, free - size);
    return begin;
  }

  // Frees a range, joined with the free ranges before and after it.
  void give(std::size_t begin, std::size_t size) {
    auto next = free_.lower_bound(begin);
    if (next != free_.end() && next->first == begin + size) {
      size += next->second;
      by_size_.erase({next->second, next->first});
      next = free_.erase(next);
    }
    if (next != free_.begin()) {
      const auto previous = std::prev(next);
      if (previous->first + previous->second == begin) {
        begin = previous->first;
        size += previous->second;
        by_size_.erase({previous->second, previous->first});
        free_.erase(previous);
      }
    }
    free_[begin] = size;
    by_size_.insert({size, begin});
  }

 private:
  std::map<std::size_t, std::size_t> free_;  // offset -> size
  std::set<std::pair<std::size_t, std::size_t>> by_size_;
};
Blocks& blocks() {
  static Blocks* const instance = new Blocks;
  return *instance;
}

}  // namespace

DeviceMemory::DeviceMemory() : total_(total_of_environment()) {
  const int file = memfd_create("device memory", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, static_cast<off_t>(reserved)) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot make the emulated memory");
  }
  device_ = static_cast<std::byte*>(map(reserved, PROT_NONE, MAP_SHARED, file));
  alias_ = static_cast<std::byte*>(map(reserved, PROT_READ | PROT_WRITE, MAP_SHARED, file));
  valid_ = static_cast<std::uint8_t*>(map(reserved / 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1));
  ::close(file);
}

void* DeviceMemory::allocate(std::size_t bytes) {
  if (bytes > total_ - std::min(used_, total_)) return nullptr;
  const std::size_t size = round_up(bytes);
  const std::size_t old_end = end_;
  const std::size_t begin = blocks().take(size, end_);
  if (end_ > reserved) throw std::bad_alloc();
  if (is_open_ && end_ != old_end) protect(PROT_READ | PROT_WRITE);
  blocks().taken[begin] = bytes;
  std::memset(alias_ + begin, 0xff, bytes);
  mark(begin, bytes, true);
  used_ += bytes;
  highest_use_ = std::max(highest_use_, used_);
  ++allocations_;
  return device_ + begin;
}

bool DeviceMemory::release(void* pointer) {
  const auto found = blocks().taken.find(offset(pointer));
  if (found == blocks().taken.end()) return false;
  const auto [begin, bytes] = *found;
  blocks().taken.erase(found);
  blocks().give(begin, round_up(bytes));
  mark(begin, bytes, false);
  used_ -= bytes;
  return true;
}

void DeviceMemory::mark(std::size_t begin, std::size_t bytes, bool valid) {
  std::memset(valid_ + begin / 16, valid ? 16 : 0, bytes / 16);
  if (bytes % 16 != 0) valid_[(begin + bytes) / 16] = static_cast<std::uint8_t>(valid ? bytes % 16 : 0);
  if (valid) {
    sanitizer::allow(device_ + begin, bytes);
    sanitizer::forbid(device_ + begin + (bytes + 7) / 8 * 8, round_up(bytes) - (bytes + 7) / 8 * 8);
  } else {
    sanitizer::forbid(device_ + begin, round_up(bytes));
  }
}

bool DeviceMemory::owns(const volatile void* pointer, std::size_t bytes) const {
  if (!contains(pointer)) return false;
  auto found = blocks().taken.upper_bound(offset(pointer));
  if (found == blocks().taken.begin()) return false;
  --found;
  const std::size_t within = offset(pointer) - found->first;
  return within <= found->second && bytes <= found->second - within;
}

std::string DeviceMemory::describe(const volatile void* pointer) const {
  auto found = blocks().taken.upper_bound(offset(pointer));
  if (found == blocks().taken.begin()) return "in no allocation";
  --found;
  const std::size_t within = offset(pointer) - found->first;
  if (within < found->second) return fmt::format("at byte {} of an allocation of {} bytes", within, found->second);
  if (within < round_up(found->second)) {
    return fmt::format("{} bytes past the end of an allocation of {} bytes", within - found->second, found->second);
  }
  return "in freed memory";
}

void DeviceMemory::protect(int protection) {
  const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t bytes = (end_ + page - 1) / page * page;
  if (bytes != 0 && mprotect(device_, bytes, protection) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot protect the emulated memory");
  }
}

void DeviceMemory::open() {
  if (!is_open_) protect(PROT_READ | PROT_WRITE);
  is_open_ = true;
}

void DeviceMemory::close() {
  if (is_open_) protect(PROT_NONE);
  is_open_ = false;
}

DeviceMemory& device_memory() {
  static DeviceMemory* const instance = [] {
    report_faults();
    return new DeviceMemory;
  }();
  return *instance;
}

}  // namespace csreft::emulation
