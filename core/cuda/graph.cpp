#include "core/cuda/graph.h"

#include <utility>

#include "core/base/error.h"
#include "core/cuda/check.h"
#include "core/cuda/context.h"

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

// What the work starts on the stream, as a graph. Where the work throws, the stream is as before.
cudaGraph_t capture_on(cudaStream_t stream, GraphMemory& memory, const std::function<void()>& work) {
  cudaGraph_t graph = nullptr;
  // Calls of other threads are no part of it and may allocate, but none may use this device's stream meanwhile.
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  const PostponedFrees postponed(stream);
  memory.set_capturing(true);
  try {
    work();
  } catch (...) {
    static_cast<void>(cudaStreamEndCapture(stream, &graph));
    if (graph != nullptr) static_cast<void>(cudaGraphDestroy(graph));
    static_cast<void>(cudaGetLastError());
    memory.set_capturing(false);
    throw;
  }
  memory.set_capturing(false);
  check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  return graph;
}

}  // namespace

Graph::Graph(int index) : index_(index), memory_(std::make_shared<GraphMemory>(context(index).allocator)) {}

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
  const cudaGraph_t graph = capture_on(context(index_).stream, *memory_, work);
  const cudaError_t made = cudaGraphInstantiate(&executable_, graph, 0);
  static_cast<void>(cudaGraphDestroy(graph));
  check(made, "cudaGraphInstantiate");
}

std::function<void()> record(std::function<void()> work, int index) {
  return [graph = std::make_shared<Graph>(index), work = std::move(work)] { graph->run(work); };
}

}  // namespace csreft::cuda
