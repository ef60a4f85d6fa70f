// The products of frozen matrices by oneDNN, or by gemv for a few rows.
#pragma once

#include "core/ops/packed_matrix.h"

namespace csreft::cpu {

// Whether this processor multiplies bf16 (AVX-512 BF16 or AMX). On others Packing::bf16 saves memory alone.
bool has_bf16_products();

// Whether Packing::automatic copies f32 matrices into blocks.
bool packs_f32();

// weight f32 or f64 [out, in]. Throws Error for Packing::tf32, and for Packing::bf16 unless weight is f32.
// Packing::bf16 needs a processor that multiplies it: pack_weight of stored_products.h serves the others.
PackedProducts pack(const Tensor& weight, Packing packing);

}  // namespace csreft::cpu
