#include "core/ops/row_index.h"

#include <algorithm>
#include <vector>

namespace csreft {

RowIndex::RowIndex(const Tensor& entries) : entries_(entries) {
  require(entries.defined() && entries.dtype() == DType::i32, "row index: {}, expected i32",
          entries.defined() ? name_of(entries.dtype()) : "undefined");
  require(entries.shape().rank() == 1, "row index: shape {}, expected [m]", entries.shape().str());
  if (entries.device() != Device{}) return;
  const auto span = entries.span<std::int32_t>();
  std::vector<std::int32_t> rows(span.begin(), span.end());
  std::ranges::sort(rows);
  if (rows.empty()) return;
  require(rows.front() >= 0, "row index: holds {}, expected 0 or more", rows.front());
  bound_ = std::int64_t{rows.back()} + 1;
  if (const auto twice = std::ranges::adjacent_find(rows); twice != rows.end()) repeated_ = *twice;
}

}  // namespace csreft
