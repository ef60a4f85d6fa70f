// What becomes of an error of the driver or of cuBLAS.
#include "core/cuda/check.h"

#include <doctest/doctest.h>

#include "tests/error_text.h"

TEST_CASE("cuda: a call that fails is an error with the call's name, and the next call does not see it") {
  const auto text_of = [](auto status) { return error_text([&] { csreft::cuda::check(status, "aCall"); }); };
  CHECK(text_of(cudaErrorMemoryAllocation).starts_with("out of memory in aCall: "));
  CHECK(text_of(CUBLAS_STATUS_ALLOC_FAILED).starts_with("out of memory in aCall: "));
  CHECK(
      contains(text_of(CUBLAS_STATUS_NOT_SUPPORTED), "aCall failed with the requested functionality is not supported"));
  void* pointer = nullptr;
  const cudaError_t status = cudaMemcpyAsync(&pointer, nullptr, 1, cudaMemcpyHostToDevice, nullptr);
  CHECK(contains(text_of(status), "aCall failed with cudaErrorInvalidValue (invalid argument)"));
  CHECK(cudaGetLastError() == cudaSuccess);
}
