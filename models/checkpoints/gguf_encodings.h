// ggml's element types as encodings of stored matrices.
#pragma once

#include <memory>
#include <vector>

#include "core/tensor/stored_matrix.h"
#include "models/checkpoints/gguf_blocks.h"

namespace csreft {

// How rows of this type are stored: decoded by decode_rows(), and of the form that core/cpu multiplies, if it is one.
std::shared_ptr<const RowEncoding> row_encoding(GgmlType type);

// Those that core/cpu multiplies as they are.
std::vector<std::shared_ptr<const RowEncoding>> multiplied_encodings();

}  // namespace csreft
