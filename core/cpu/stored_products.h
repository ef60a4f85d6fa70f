// The products of a frozen matrix that is kept as it is stored.
#pragma once

#include "core/ops/packed_matrix.h"
#include "core/tensor/stored_matrix.h"

namespace csreft::cpu {

// As PackedMatrix says of a stored matrix. Throws Error for Packing::tf32.
PackedProducts pack_stored(const StoredMatrix& weight, Packing packing);
// What Backend::pack does: pack() of packed_matrix.h, but where the processor does not multiply bf16, in which the
// matrix is then kept, and multiplied as pack_stored does.
PackedProducts pack_weight(const Tensor& weight, Packing packing);
// csreft::copied_bytes on the host.
std::int64_t copied_bytes(Packing packing, bool is_stored);

}  // namespace csreft::cpu
