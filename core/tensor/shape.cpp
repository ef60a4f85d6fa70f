#include "core/tensor/shape.h"

#include <algorithm>

#include "core/base/error.h"

namespace csreft {

Shape::Shape(std::initializer_list<std::int64_t> extents) : rank_(static_cast<int>(extents.size())) {
  require(rank_ <= max_rank, "a tensor has at most {} axes: got {}", max_rank, rank_);
  std::copy(extents.begin(), extents.end(), extents_.begin());
  for (const auto extent : extents) require(extent >= 0, "a tensor's extents are not negative: got {}", str());
}

std::int64_t Shape::numel() const {
  std::int64_t n = 1;
  for (int axis = 0; axis < rank_; ++axis) n *= (*this)[axis];
  return n;
}

std::string Shape::str() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) text += fmt::format("{}{}", axis ? ", " : "", (*this)[axis]);
  return text + "]";
}

}  // namespace csreft
