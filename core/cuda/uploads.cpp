#include "core/cuda/uploads.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/cuda/check.h"
#include "core/cuda/graph_memory.h"

namespace csreft::cuda {
namespace {

std::byte* bytes_of(const std::shared_ptr<void>& memory) { return static_cast<std::byte*>(memory.get()); }

}  // namespace

std::shared_ptr<void> allocate_pinned(std::size_t bytes) {
  void* pinned = nullptr;
  check(cudaMallocHost(&pinned, bytes), "cudaMallocHost");
  return {pinned, [](void* p) { static_cast<void>(cudaFreeHost(p)); }};
}

const void* Uploads::get(const void* bytes, std::size_t n, cudaStream_t stream) {
  if (n == 0) return nullptr;
  const std::lock_guard lock(mutex_);
  make();
  if (current_graph_memory() != nullptr) return get_constant(bytes, n, stream);
  ++uses_;
  const auto found = std::ranges::find_if(places_, [&](const Place& place) {
    return place.content.size() == n && std::memcmp(place.content.data(), bytes, n) == 0;
  });
  if (found != places_.end()) {
    found->last_use = uses_;
    return found->there;
  }
  Place& place = oldest_place(n);
  send(place, bytes, n, place.there, stream);
  const auto* const begin = static_cast<const std::byte*>(bytes);
  place.content.assign(begin, begin + n);
  place.last_use = uses_;
  return place.there;
}

// What recorded work uploads stays where it is.
const void* Uploads::get_constant(const void* bytes, std::size_t n, cudaStream_t stream) {
  GraphMemory& graph = *current_graph_memory();
  if (const auto kept_memory = graph.constant(bytes, n)) return kept_memory.get();
  Place& place = oldest_place(n);
  const std::shared_ptr<void> memory = allocator_.allocate(n);
  send(place, bytes, n, memory.get(), stream);
  place.content.clear();  // its pinned bytes are others now
  place.last_use = ++uses_;
  graph.keep_constant(bytes, n, memory);
  return memory.get();
}

void Uploads::make() {
  if (pinned_ != nullptr) return;
  const std::shared_ptr<void> pinned = allocate_pinned(kept * place_bytes);
  there_ = allocator_.allocate(kept * place_bytes);
  for (std::size_t i = 0; i < kept; ++i) {
    Place& place = places_[i];
    place.pinned = bytes_of(pinned) + i * place_bytes;
    place.there = bytes_of(there_) + i * place_bytes;
    place.capacity = place_bytes;
    check(cudaEventCreateWithFlags(&place.copied, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  }
  pinned_ = pinned;
}

Uploads::Place& Uploads::oldest_place(std::size_t n) {
  Place& place = *std::ranges::min_element(places_, {}, &Place::last_use);
  check(cudaEventSynchronize(place.copied), "cudaEventSynchronize");
  if (place.capacity >= n) return place;
  const std::size_t capacity = std::bit_ceil(n);
  // What is let go of is freed in the order of the stream: work that was started before still reads it.
  // Both are there before the place changes, which stays as it is where one of them fails.
  std::shared_ptr<void> own_pinned = allocate_pinned(capacity), own_there = allocator_.allocate(capacity);
  place.content.clear();
  place.own_pinned = std::move(own_pinned);
  place.own_there = std::move(own_there);
  place.pinned = bytes_of(place.own_pinned);
  place.there = bytes_of(place.own_there);
  place.capacity = capacity;
  return place;
}

void Uploads::send(Place& place, const void* bytes, std::size_t n, void* to, cudaStream_t stream) {
  std::memcpy(place.pinned, bytes, n);
  check(cudaMemcpyAsync(to, place.pinned, n, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
  check(cudaEventRecord(place.copied, stream), "cudaEventRecord");
}

}  // namespace csreft::cuda
