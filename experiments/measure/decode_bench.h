// How fast generation reads weights: products of a few rows with matrices in each form that files have.
#pragma once

#include <memory>

#include "core/tensor/stored_matrix.h"
#include "experiments/measure/device_bench.h"

namespace csreft {

// How the elements of W are stored, as a file has them; null: in f32.
using DecodedForm = std::shared_ptr<const RowEncoding>;

// Bytes a second at which x W^T reads W in this form, for x [rows, in], W [out, in], whose rows are whole blocks of the
// form; several W in turn, so that no cache holds them.
double measure_decoding(const DecodedForm& form, const GemmShape& shape, double seconds);

}  // namespace csreft
