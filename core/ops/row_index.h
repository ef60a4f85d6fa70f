// Which rows of a matrix an operation reads or writes.
#pragma once

#include <cstdint>

#include "core/tensor/tensor.h"

namespace csreft {

// Checked once, when it is made: an operation only compares bound() with its number of rows. A handle: copies share the
// entries, which nobody writes any longer.
class RowIndex {
 public:
  RowIndex() = default;
  // i32 [m]. Throws Error for another type or shape, and for negative entries on the host. Nobody checks entries that
  // lie on a device, as recorded work needs them (core/device/recording.h).
  RowIndex(const Tensor& entries);

  bool defined() const { return entries_.defined(); }
  const Tensor& entries() const { return entries_; }
  const Device& device() const { return entries_.device(); }
  std::int64_t size() const { return entries_.numel(); }
  // The least number of rows that a matrix must have; 0 without entries, and for entries on a device.
  std::int64_t bound() const { return bound_; }
  // Whether no row is named twice; true for entries on a device.
  bool distinct() const { return repeated_ < 0; }
  // A row that is named twice; -1 where there is none.
  std::int64_t repeated() const { return repeated_; }

 private:
  Tensor entries_;
  std::int64_t bound_ = 0, repeated_ = -1;
};

}  // namespace csreft
