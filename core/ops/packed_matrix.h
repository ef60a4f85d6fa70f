// A frozen weight matrix, laid out once for the matrix products of this machine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "core/tensor/stored_matrix.h"
#include "core/tensor/tensor.h"

namespace csreft {

// How a PackedMatrix keeps its elements.
enum class Packing {
  automatic,  // blocks where oneDNN has kernels for them (AVX-512), rows elsewhere: the fastest by measurement
  rows,       // the tensor that was given, in place
  blocks,     // oneDNN's preferred layout, even where it is no faster
  tf32,       // the tensor in place, on a device: a product rounds both factors to TF32 and sums in f32
  bf16,       // bf16, half the memory: a product rounds both factors to it and sums in f32; on a processor that does
              // not multiply bf16 it takes the other factor as it is
};

// Bytes an element that a PackedMatrix on the host takes in memory of its own, products of many rows included: of an
// f32 tensor that it views, or of a stored matrix.
std::int64_t copied_bytes(Packing packing, bool is_stored);

// What a backend makes of W [out, in] (Backend::pack): the products of PackedMatrix, whose shapes and types are
// checked. Thread-safe.
struct PackedProducts {
  DType factor_dtype;                                                             // PackedMatrix::factor_dtype
  std::function<std::int64_t(std::int64_t rows)> read_bytes;                      // PackedMatrix::read_bytes
  std::function<Tensor(const Tensor& x)> apply;                                   // x W^T
  std::function<Tensor(const Tensor& y)> apply_transposed;                        // y W
  std::function<void(const Tensor& sum, const Tensor& y)> apply_transposed_add_;  // sum += y W
};

// W [out, in], f32 or f64 (f64 is always used in place). Blocks are made from the tensor on first use, serve both
// products, and the tensor is let go of: the matrix is in memory once, if nothing else holds it. A handle: copies share
// the data. Thread-safe, but for the threads of OpenMP, which both products use themselves.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  // Throws Error unless weight is an f32 or f64 matrix, for Packing::bf16 unless it is f32, and for Packing::tf32
  // unless it is f32 on a device.
  explicit PackedMatrix(const Tensor& weight, Packing packing = Packing::automatic);
  // On the host: products in f32 of the matrix as it is stored, which is not copied. Many rows need it decoded: with
  // Packing::rows panel by panel at each product; with the others once, at the first such product, into a copy that is
  // packed so and stays (Packing::bf16: only where the processor multiplies bf16). On another device: of the decoded
  // matrix, which is copied there. Throws Error for Packing::tf32 on the host.
  explicit PackedMatrix(const StoredMatrix& weight, Packing packing = Packing::automatic, const Device& device = {});

  bool defined() const { return impl_ != nullptr; }
  std::int64_t out_features() const;
  std::int64_t in_features() const;
  DType dtype() const;  // of the products: f32 or f64
  // What the products read their other factor as: dtype(), or bf16 where they round it to that before they start. A
  // factor for several matrices is rounded once by whoever has it.
  DType factor_dtype() const;
  // Bytes of W that apply() reads for an x of so many rows.
  std::int64_t read_bytes(std::int64_t rows) const;

  // x W^T: [n, in] -> [n, out], x of dtype() or factor_dtype(). Throw Error on a mismatch of shape or type.
  Tensor apply(const Tensor& x) const;
  // y W: [n, out] -> [n, in]; the gradient of x in apply, given the gradient y.
  Tensor apply_transposed(const Tensor& y) const;
  // sum += y W
  void apply_transposed_add_(const Tensor& sum, const Tensor& y) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace csreft
