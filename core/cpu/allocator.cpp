#include "core/cpu/allocator.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include "core/base/error.h"

namespace csreft {
namespace {

constexpr std::size_t alignment = 64;

// Sizes are rounded up to one of eight steps between powers of two, so that a block freed by a batch of one length
// serves a batch of nearly the same length: a new block is at most an eighth larger than what was asked for.
std::size_t round_up(std::size_t bytes) {
  const std::size_t power = std::bit_floor(std::max<std::size_t>(bytes, 512));
  const std::size_t step = power / 8;
  return (std::max<std::size_t>(bytes, 1) + step - 1) / step * step;
}

class Pool {
 public:
  void* take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    // A kept block that is up to a quarter larger is better than a new one.
    const auto found = free_.lower_bound(bytes);
    if (found != free_.end() && found->first <= bytes + bytes / 4) {
      const auto [size, block] = *found;
      free_.erase(found);
      sizes_[block] = size;
      memory_.kept -= size;
      memory_.used += size;
      return block;
    }
    void* block = std::aligned_alloc(alignment, bytes);
    if (block == nullptr) {
      drop_kept();
      block = std::aligned_alloc(alignment, bytes);
    }
    require(block != nullptr, "out of memory: {} MiB asked for, {} MiB in use; expected a smaller batch or model",
            bytes >> 20U, memory_.used >> 20U);
    sizes_[block] = bytes;
    memory_.used += bytes;
    return block;
  }

  void give(void* block) {
    const std::lock_guard lock(mutex_);
    const auto found = sizes_.find(block);
    memory_.used -= found->second;
    memory_.kept += found->second;
    free_.emplace(found->second, block);
    sizes_.erase(found);
  }

  void drop_kept() {
    for (const auto& [size, block] : free_) std::free(block);
    free_.clear();
    memory_.kept = 0;
  }

  std::mutex& mutex() { return mutex_; }
  HostMemory memory() const { return memory_; }

 private:
  std::mutex mutex_;
  std::multimap<std::size_t, void*> free_;
  std::map<void*, std::size_t> sizes_;
  HostMemory memory_;
};

// Never destroyed: tensors with static storage duration may outlive it otherwise.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

}  // namespace

std::shared_ptr<void> allocate_host(std::size_t bytes) {
  return {pool().take(round_up(bytes)), [](void* block) { pool().give(block); }};
}

HostMemory host_memory() {
  const std::lock_guard lock(pool().mutex());
  return pool().memory();
}

void release_kept_host_memory() {
  const std::lock_guard lock(pool().mutex());
  pool().drop_kept();
}

}  // namespace csreft
