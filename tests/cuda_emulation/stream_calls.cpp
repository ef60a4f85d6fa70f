// Streams and events of the CUDA runtime.
#include <utility>

#include "report.h"
#include "streams.h"

using namespace csreft::emulation;
using std::chrono::steady_clock;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const std::lock_guard lock(entrance());
  if (flags > cudaStreamNonBlocking) return result(cudaErrorInvalidValue);
  if (fault() == cudaSuccess) *stream = new Stream{make_queue(flags == cudaStreamDefault)};
  return result(fault());
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(entrance());
  if (stream == nullptr) return result(cudaErrorInvalidResourceHandle);
  // CUDA finishes the stream's work and frees it then; so that nothing is lost, the work is done here.
  const cudaError_t error = run_until(end_of(stream));
  delete stream;
  return result(error);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(entrance());
  if (const auto error = refuse_while_capturing(); error != cudaSuccess) return result(error);
  if (stream == nullptr) {
    // The default stream waits for the blocking ones.
    if (const auto error = enqueue(nullptr, [] {}); error != cudaSuccess) return result(error);
  }
  return result(run_until(end_of(stream)));
}

// Each question lets one operation of the stream happen, so that a host that asks again and again comes to an end.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const std::lock_guard lock(entrance());
  const auto place = end_of(stream);
  if (place.queue->done == place.number) return result(fault());
  const auto error = run_until({place.queue, place.queue->done + 1});
  return result(error != cudaSuccess ? error : cudaErrorNotReady);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
  const std::lock_guard lock(entrance());
  if (event == nullptr || flags != 0) return result(cudaErrorInvalidValue);
  if (event->place.queue == nullptr) return result(fault());  // never recorded: nothing to wait for
  return result(enqueue(stream, [] {}, {event->place}));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  const std::lock_guard lock(entrance());
  if (flags > (cudaEventBlockingSync | cudaEventDisableTiming)) return result(cudaErrorInvalidValue);
  *event = new Event{.timed = (flags & cudaEventDisableTiming) == 0, .place = {}, .time = {}};
  return result(fault());
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::lock_guard lock(entrance());
  if (event == nullptr) return result(cudaErrorInvalidResourceHandle);
  delete event;
  return result(fault());
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(entrance());
  if (event == nullptr) return result(cudaErrorInvalidResourceHandle);
  auto time = std::make_shared<steady_clock::time_point>();
  const auto error = enqueue(stream, [time] { *time = steady_clock::now(); });
  if (error == cudaSuccess && queue_of(stream).capture == cudaStreamCaptureStatusNone) {
    event->time = std::move(time);
    event->place = end_of(stream);
  }
  return result(error);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(entrance());
  if (event == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (const auto error = refuse_while_capturing(); error != cudaSuccess) return result(error);
  return result(run_until(event->place));
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(entrance());
  if (event == nullptr) return result(cudaErrorInvalidResourceHandle);
  const auto& place = event->place;
  if (place.queue == nullptr || place.queue->done >= place.number) return result(fault());
  const auto error = run_until({place.queue, place.queue->done + 1});
  return result(error != cudaSuccess ? error : cudaErrorNotReady);
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  const std::lock_guard lock(entrance());
  for (const auto* event : {begin, end}) {
    if (event == nullptr || !event->timed || event->place.queue == nullptr) {
      return result(cudaErrorInvalidResourceHandle);
    }
    if (event->place.queue->done < event->place.number) return result(cudaErrorNotReady);
  }
  *milliseconds = std::chrono::duration<float, std::milli>(*end->time - *begin->time).count();
  return result(fault());
}

cudaError_t cudaDeviceSynchronize() {
  const std::lock_guard lock(entrance());
  if (const auto error = refuse_while_capturing(); error != cudaSuccess) return result(error);
  return result(run_all());
}
