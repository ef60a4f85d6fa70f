// Streams as queues: work is kept until the host waits for it, and then runs in the calling thread. A host that reads a
// result too early so finds what was there before, every time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "emulation/runtime_api.h"

namespace csreft::emulation {

// The emulation is entered by one thread at a time.
std::recursive_mutex& entrance();

// A place in a stream: everything before it is done when that many of the stream's operations are.
struct Place {
  std::shared_ptr<struct Queue> queue;
  std::uint64_t number = 0;
};

struct Operation {
  std::function<void()> run;
  std::vector<Place> after;  // done before this starts
};

struct Graph {
  std::vector<std::function<void()>> operations;
};
struct ExecutableGraph {
  Graph graph;
};

struct Queue {
  bool blocking = false;  // orders itself with the default stream, as streams without cudaStreamNonBlocking do
  std::deque<Operation> waiting;
  std::uint64_t queued = 0, done = 0;
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  std::unique_ptr<Graph> captured;
};
struct Stream {
  std::shared_ptr<Queue> queue;
};
struct Event {
  bool timed = true;
  Place place;  // without a queue: never recorded
  std::shared_ptr<std::chrono::steady_clock::time_point> time;
};

// nullptr is the default stream, which waits for all blocking streams and they for it.
Queue& queue_of(Stream* stream);
std::shared_ptr<Queue> shared_queue_of(Stream* stream);
std::shared_ptr<Queue> make_queue(bool blocking);

// Adds work to the stream, or to the graph that it is capturing. Returns the device's error, if there is one: then
// nothing is added. What is added is not run when the device has an error by then.
cudaError_t enqueue(Stream* stream, std::function<void()> run, std::vector<Place> after = {});
Place end_of(Stream* stream);

// Runs what is queued, and what that waits for. Returns the device's error.
cudaError_t run_until(const Place& place);
cudaError_t run_all();
// An error for calls that wait or free while some stream captures a graph, which then is worth nothing.
cudaError_t refuse_while_capturing();

}  // namespace csreft::emulation
