// Work on a device that is done again and again with the same tensors, as a CUDA graph.
#pragma once

#include <functional>
#include <memory>

#include "core/cuda/graph_memory.h"
#include "core/cuda/runtime.h"

namespace csreft::cuda {

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

// The work as a graph, for Backend.
std::function<void()> record(std::function<void()> work, int index);

}  // namespace csreft::cuda
