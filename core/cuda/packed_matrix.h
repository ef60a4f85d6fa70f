// The products of frozen matrices on CUDA devices, for Backend.
#pragma once

#include "core/ops/packed_matrix.h"

namespace csreft::cuda {

// weight f32 or f64 [out, in] on the device. Throws Error for Packing::tf32 and Packing::bf16 unless it is f32.
PackedProducts pack(const Tensor& weight, Packing packing);

}  // namespace csreft::cuda
