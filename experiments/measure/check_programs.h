// The programmes that a check runs: the tests on the device, and NVIDIA's compute-sanitizer over the small ones.
#pragma once

#include <filesystem>
#include <span>

#include "experiments/measure/check_run.h"

namespace csreft {

// The part "tests": csreft_tests, which lies beside this programme or in ../tests. A failing test is a failure.
void check_tests(CheckRun& run);

// The part "compute-sanitizer": memcheck and racecheck, where that programme is on PATH, in CUDA_HOME or in
// /usr/local/cuda and the device is a real one.
void check_sanitizer(CheckRun& run);
// The files of those small tests: they start kernels of every kind.
std::span<const char* const> sanitized_sources();
// The same within a part, with this test programme, whatever the device is.
void sanitize_tests(CheckRun& run, const std::filesystem::path& program);

}  // namespace csreft
