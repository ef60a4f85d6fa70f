#include "streams.h"

#include <algorithm>
#include <utility>

#include "memory.h"
#include "report.h"

namespace csreft::emulation {
namespace {

constexpr std::size_t most_waiting = 1 << 14;  // operations; then they run, as a full queue of a driver blocks the host

struct Streams {
  std::shared_ptr<Queue> default_queue = std::make_shared<Queue>();
  std::vector<std::weak_ptr<Queue>> others;
  std::size_t waiting = 0;
  int draining = 0;
};
Streams& streams() {
  static Streams* const instance = new Streams;
  return *instance;
}

template <typename F>
void for_each_queue(F f) {
  std::erase_if(streams().others, [](const auto& queue) { return queue.expired(); });
  f(streams().default_queue);
  for (std::size_t i = 0; i < streams().others.size(); ++i) {
    if (const auto queue = streams().others[i].lock()) f(queue);
  }
}

// The device's memory is open while this lives.
struct Draining {
  Draining() {
    if (streams().draining++ == 0) device_memory().open();
  }
  ~Draining() {
    if (--streams().draining == 0) device_memory().close();
  }
  Draining(const Draining&) = delete;
  Draining& operator=(const Draining&) = delete;
};

// The recursion is as deep as events are chained.
void run(Queue& queue, std::uint64_t number) {
  while (queue.done < number) {
    Operation operation = std::move(queue.waiting.front());
    queue.waiting.pop_front();
    --streams().waiting;
    for (const auto& place : operation.after) run(*place.queue, place.number);
    if (fault() == cudaSuccess) operation.run();
    ++queue.done;
  }
}

}  // namespace

std::recursive_mutex& entrance() {
  static std::recursive_mutex* const instance = new std::recursive_mutex;
  return *instance;
}

std::shared_ptr<Queue> shared_queue_of(Stream* stream) {
  return stream == nullptr ? streams().default_queue : stream->queue;
}
Queue& queue_of(Stream* stream) { return *shared_queue_of(stream); }

std::shared_ptr<Queue> make_queue(bool blocking) {
  auto queue = std::make_shared<Queue>();
  queue->blocking = blocking;
  streams().others.push_back(queue);
  return queue;
}

Place end_of(Stream* stream) {
  const auto queue = shared_queue_of(stream);
  return {queue, queue->queued};
}

cudaError_t enqueue(Stream* stream, std::function<void()> run_it, std::vector<Place> after) {
  if (fault() != cudaSuccess) return fault();
  const auto queue = shared_queue_of(stream);
  if (queue->capture == cudaStreamCaptureStatusInvalidated) return cudaErrorStreamCaptureInvalidated;
  if (queue->capture == cudaStreamCaptureStatusActive) {
    if (!after.empty()) return refuse_while_capturing();
    queue->captured->operations.push_back(std::move(run_it));
    return cudaSuccess;
  }
  if (stream == nullptr) {
    for_each_queue([&](const auto& other) {
      if (other->blocking) after.push_back({other, other->queued});
    });
  } else if (queue->blocking) {
    after.push_back({streams().default_queue, streams().default_queue->queued});
  }
  queue->waiting.push_back({std::move(run_it), std::move(after)});
  ++queue->queued;
  return ++streams().waiting < most_waiting ? cudaSuccess : run_all();
}

cudaError_t run_until(const Place& place) {
  if (place.queue != nullptr && place.queue->done < place.number) {
    const Draining draining;
    run(*place.queue, place.number);
  }
  host_has_waited();
  return fault();
}

cudaError_t run_all() {
  const Draining draining;
  for_each_queue([](const auto& queue) { run(*queue, queue->queued); });
  host_has_waited();
  return fault();
}

std::size_t waiting_operations() {
  const std::lock_guard lock(entrance());
  return streams().waiting;
}

cudaError_t refuse_while_capturing() {
  bool capturing = false;
  for_each_queue([&](const auto& queue) {
    if (queue->capture == cudaStreamCaptureStatusNone) return;
    capturing = true;
    queue->capture = cudaStreamCaptureStatusInvalidated;
  });
  return capturing ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

}  // namespace csreft::emulation
