// CUDA's runtime as the backend uses it, emulated on the CPU: the types, the language of kernels, and the calls whose
// doing is in tests/cuda_emulation. Names and meanings are NVIDIA's (CUDA C++ Programming Guide, CUDA Runtime API);
// what is not declared here, the emulation does not have.
#pragma once

#include "emulation/intrinsics.h"
#include "emulation/runtime_api.h"
#include "emulation/vector_types.h"
