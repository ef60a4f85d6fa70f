// Elements of several tensors in one launch.
#pragma once

#include <vector>

#include "core/cuda/grid.cuh"

namespace csreft::cuda {

// Elements that a thread handles before another block is worth starting.
inline constexpr std::int64_t tensor_elements_per_thread = 4;

// What a launch knows of its tensors. An Item has the number `n` of a tensor's elements and the addresses of what is
// read and written. The list is a parameter of the kernel, of which 4 KiB are allowed.
template <typename Item>
struct TensorList {
  static constexpr unsigned capacity = 4000 / (sizeof(Item) + sizeof(unsigned));
  Item items[capacity];
  unsigned ends[capacity];  // the blocks of items[i] end before ends[i]
};

// The tensor of the calling block, and the block's place among the tensor's blocks.
struct BlockPlace {
  unsigned tensor, block, n_blocks;

  // The elements of the calling thread: from `first` on, each `stride` after the last.
  __device__ std::int64_t first() const { return std::int64_t{block} * blockDim.x + threadIdx.x; }
  __device__ std::int64_t stride() const { return std::int64_t{n_blocks} * blockDim.x; }
};
template <typename Item>
__device__ BlockPlace block_place(const TensorList<Item>& list) {
  unsigned tensor = 0, begin = 0;
  while (list.ends[tensor] <= blockIdx.x) begin = list.ends[tensor++];
  return {tensor, blockIdx.x - begin, list.ends[tensor] - begin};
}

// item(i) for each item and i in [0, item.n).
template <typename Item>
__global__ void tensors_kernel(TensorList<Item> list) {
  const BlockPlace place = block_place(list);
  const Item item = list.items[place.tensor];
  for (std::int64_t i = place.first(); i < item.n; i += place.stride()) item(i);
}

// Cuts `items` into lists, as few as hold them, and calls start(list, blocks) for each; count(item) >= 1 is the number
// of blocks of an item.
template <typename Item, typename Count, typename Start>
void for_tensor_lists(const std::vector<Item>& items, const Count& count, const Start& start) {
  using List = TensorList<Item>;
  for (std::size_t first = 0; first < items.size(); first += List::capacity) {
    List list{};
    unsigned blocks = 0;
    for (std::size_t i = first; i < std::min<std::size_t>(items.size(), first + List::capacity); ++i) {
      list.items[i - first] = items[i];
      list.ends[i - first] = blocks += count(items[i]);
    }
    start(list, blocks);
  }
}

// Calls item(i) on the device for each item and i in [0, item.n), in any order.
template <typename Item>
void for_tensors(const Context& device, const std::vector<Item>& items) {
  const auto count = [](const Item& item) {
    constexpr std::int64_t max_blocks = 8192, per_block = block_threads * tensor_elements_per_thread;
    return static_cast<unsigned>(std::clamp<std::int64_t>((item.n + per_block - 1) / per_block, 1, max_blocks));
  };
  for_tensor_lists(items, count, [&](const TensorList<Item>& list, unsigned blocks) {
    launch(tensors_kernel<Item>, dim3(blocks), dim3(block_threads), 0, device.stream, list);
  });
}

}  // namespace csreft::cuda
