// Work on a device that is done again and again with the same tensors, as a CUDA graph.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "core/cuda/runtime.h"

namespace csreft::cuda {

// As allocate (primitives.h), but never of a graph's memory.
std::shared_ptr<void> allocate_block(std::size_t bytes, int index);

// The memory of a graph's temporaries and constants. A graph has their addresses in it, so nothing else may ever have
// them: blocks that the work frees wait here for the next one of the same size.
class GraphMemory : public std::enable_shared_from_this<GraphMemory> {
 public:
  explicit GraphMemory(int index) : index_(index) {}

  // While a stream is captured nothing can be allocated: a block that is not there is an Error.
  std::shared_ptr<void> take(std::size_t bytes);
  // What was uploaded while the work was first done. Throws Error while capturing for bytes that were not: a graph
  // would repeat what they are now.
  std::shared_ptr<void> constant(const void* bytes, std::size_t n) const;
  void keep_constant(const void* bytes, std::size_t n, std::shared_ptr<void> memory);
  // Frees after the capture what was allocated before it.
  void free_later(void* pointer) { late_.push_back(pointer); }

  bool is_capturing() const { return capturing_; }
  void start_capture() { capturing_ = true; }
  void end_capture(cudaStream_t stream);

 private:
  struct Constant {
    std::vector<std::byte> content;
    std::shared_ptr<void> memory;
  };

  int index_;
  bool capturing_ = false;
  std::multimap<std::size_t, std::shared_ptr<void>> free_;
  std::vector<Constant> constants_;
  std::vector<void*> late_;
};

// The memory of the graph whose work this thread is doing, if it is.
std::shared_ptr<GraphMemory>& current_graph_memory();

class Graph {
 public:
  explicit Graph(int index);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Does the work: the first time as it stands, the second time and later as a graph, which the second time makes.
  void run(const std::function<void()>& work);

 private:
  void capture(const std::function<void()>& work);

  int index_;
  bool has_run_ = false;
  std::shared_ptr<GraphMemory> memory_;
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace csreft::cuda
