// Stream capture and graphs of the CUDA runtime: a graph is the list of what one stream was given.
#include <utility>

#include "control.h"
#include "report.h"
#include "streams.h"

using namespace csreft::emulation;

namespace {

std::size_t launches = 0;

}  // namespace

std::size_t csreft::emulation::graph_launches() {
  const std::lock_guard lock(entrance());
  return launches;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const std::lock_guard lock(entrance());
  // The default stream cannot be captured.
  if (stream == nullptr) return result(cudaErrorStreamCaptureUnsupported);
  auto& queue = queue_of(stream);
  if (queue.capture != cudaStreamCaptureStatusNone) return result(cudaErrorInvalidValue);
  queue.capture = cudaStreamCaptureStatusActive;
  queue.captured = std::make_unique<Graph>();
  return result(fault());
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(entrance());
  if (stream == nullptr) return result(cudaErrorInvalidResourceHandle);
  auto& queue = queue_of(stream);
  const auto status = std::exchange(queue.capture, cudaStreamCaptureStatusNone);
  auto captured = std::move(queue.captured);
  *graph = nullptr;
  if (status == cudaStreamCaptureStatusNone) return result(cudaErrorInvalidValue);
  if (status == cudaStreamCaptureStatusInvalidated) return result(cudaErrorStreamCaptureInvalidated);
  *graph = captured.release();
  return result(fault());
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const std::lock_guard lock(entrance());
  *status = queue_of(stream).capture;
  return result(fault());
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags) {
  const std::lock_guard lock(entrance());
  if (graph == nullptr || flags != 0) return result(cudaErrorInvalidValue);
  *executable = new ExecutableGraph{*graph};
  return result(fault());
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const std::lock_guard lock(entrance());
  if (executable == nullptr) return result(cudaErrorInvalidResourceHandle);
  ++launches;
  for (const auto& operation : executable->graph.operations) {
    if (const auto error = enqueue(stream, operation); error != cudaSuccess) return result(error);
  }
  return result(fault());
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const std::lock_guard lock(entrance());
  delete graph;
  return result(fault());
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const std::lock_guard lock(entrance());
  delete executable;
  return result(fault());
}
