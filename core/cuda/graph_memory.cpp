#include "core/cuda/graph_memory.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/error.h"

namespace csreft::cuda {

std::shared_ptr<GraphMemory>& current_graph_memory() {
  thread_local std::shared_ptr<GraphMemory> memory;
  return memory;
}

std::shared_ptr<void> GraphMemory::take(std::size_t bytes) {
  std::shared_ptr<void> block;
  if (const auto found = free_.find(bytes); found != free_.end()) {
    block = std::move(found->second);
    free_.erase(found);
  } else {
    require(!capturing_, "recorded work allocates {} bytes more than when it was first done: expected the same work",
            bytes);
    block = allocator_.allocate(bytes);
  }
  void* const data = block.get();
  return {data, [self = shared_from_this(), bytes, block = std::move(block)](void*) mutable {
            self->free_.emplace(bytes, std::move(block));
          }};
}

std::shared_ptr<void> GraphMemory::constant(const void* bytes, std::size_t n) const {
  const auto found = std::ranges::find_if(constants_, [&](const Constant& constant) {
    return constant.content.size() == n && std::memcmp(constant.content.data(), bytes, n) == 0;
  });
  if (found != constants_.end()) return found->memory;
  require(!capturing_, "recorded work uploads {} bytes that it did not when it was first done: expected constants", n);
  return nullptr;
}

void GraphMemory::keep_constant(const void* bytes, std::size_t n, std::shared_ptr<void> memory) {
  const auto* const begin = static_cast<const std::byte*>(bytes);
  constants_.push_back({{begin, begin + n}, std::move(memory)});
}

}  // namespace csreft::cuda
