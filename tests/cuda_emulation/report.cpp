#include "report.h"

#include <fmt/format.h>

#include "random_order.h"

namespace csreft::emulation {
namespace {

struct State {
  cudaError_t fault = cudaSuccess;
  std::string report;
};
State& state() {
  static State instance;
  return instance;
}
thread_local cudaError_t last = cudaSuccess;

}  // namespace

void set_fault(cudaError_t error, const std::string& report) {
  if (state().fault != cudaSuccess) return;
  state() = {error, fmt::format("{} (CSREFT_EMULATION_SEED={})", report, seed())};
}

void clear_fault() {
  state() = {};
  last = cudaSuccess;
}

cudaError_t fault() { return state().fault; }
const std::string& fault_report() { return state().report; }

cudaError_t result(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) last = error;
  return error;
}

}  // namespace csreft::emulation

namespace {

struct Named {
  cudaError_t error;
  const char *name, *text;
};
constexpr Named errors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorMisalignedAddress, "cudaErrorMisalignedAddress", "misaligned address"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported by the emulation"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
};
const Named* find(cudaError_t error) {
  for (const auto& named : errors) {
    if (named.error == error) return &named;
  }
  return nullptr;
}

}  // namespace

const char* cudaGetErrorName(cudaError_t error) {
  const auto* named = find(error);
  return named != nullptr ? named->name : "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) {
  using namespace csreft::emulation;
  if (error != cudaSuccess && error == fault()) return fault_report().c_str();
  const auto* named = find(error);
  return named != nullptr ? named->text : "unrecognized error code";
}

cudaError_t cudaPeekAtLastError() {
  using namespace csreft::emulation;
  return fault() != cudaSuccess ? fault() : last;
}

cudaError_t cudaGetLastError() {
  const auto error = cudaPeekAtLastError();
  csreft::emulation::last = cudaSuccess;
  return error;
}
