// Rows of a matrix that is kept as a file stores it.
#pragma once

#include "core/ops/row_index.h"
#include "core/tensor/stored_matrix.h"

namespace csreft::ops {

// Row index[i] of x, in f32: [rows, cols], i32 [k] on the host -> [k, cols]. Throws Error for a row that is not there.
Tensor gather_rows(const StoredMatrix& x, const RowIndex& index);

}  // namespace csreft::ops
