#include "core/cuda/graph.h"

#include <algorithm>
#include <cstring>

#include "core/cuda/check.h"
#include "core/cuda/context.h"
#include "core/cuda/primitives.h"

namespace csreft::cuda {
namespace {

// What this thread allocates and uploads belongs to a graph while this lives.
class InGraph {
 public:
  explicit InGraph(const std::shared_ptr<GraphMemory>& memory) {
    require(current_graph_memory() == nullptr, "work is recorded within recorded work: expected one recording");
    current_graph_memory() = memory;
  }
  ~InGraph() { current_graph_memory() = nullptr; }
  InGraph(const InGraph&) = delete;
  InGraph& operator=(const InGraph&) = delete;
};

}  // namespace

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
    block = allocate_block(bytes, index_);
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

void GraphMemory::end_capture(cudaStream_t stream) {
  capturing_ = false;
  // A failure here is an earlier one, which the next checked call reports.
  for (void* const pointer : late_) static_cast<void>(cudaFreeAsync(pointer, stream));
  late_.clear();
}

Graph::Graph(int index) : index_(index), memory_(std::make_shared<GraphMemory>(index)) {}

Graph::~Graph() {
  if (executable_ == nullptr) return;
  // The blocks are freed in the order of the stream, so a launch may still be under way.
  static_cast<void>(cudaGraphExecDestroy(executable_));
}

void Graph::run(const std::function<void()>& work) {
  Context& device = context(index_);
  if (executable_ == nullptr) {
    const InGraph in_graph(memory_);
    if (!has_run_) {
      work();
      has_run_ = true;
      return;
    }
    capture(work);
  }
  check(cudaGraphLaunch(executable_, device.stream), "cudaGraphLaunch");
}

void Graph::capture(const std::function<void()>& work) {
  const cudaStream_t stream = context(index_).stream;
  cudaGraph_t graph = nullptr;
  // Calls of other threads are no part of it and may allocate, but none may use this device's stream meanwhile.
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  memory_->start_capture();
  try {
    work();
  } catch (...) {
    static_cast<void>(cudaStreamEndCapture(stream, &graph));
    if (graph != nullptr) static_cast<void>(cudaGraphDestroy(graph));
    static_cast<void>(cudaGetLastError());
    memory_->end_capture(stream);
    throw;
  }
  const cudaError_t status = cudaStreamEndCapture(stream, &graph);
  memory_->end_capture(stream);
  check(status, "cudaStreamEndCapture");
  const cudaError_t made = cudaGraphInstantiate(&executable_, graph, 0);
  static_cast<void>(cudaGraphDestroy(graph));
  check(made, "cudaGraphInstantiate");
}

std::shared_ptr<Graph> make_graph(int index) { return std::make_shared<Graph>(index); }
void run_in_graph(Graph& graph, const std::function<void()>& work) { graph.run(work); }

}  // namespace csreft::cuda
