#include "core/cpu/stored_products.h"

#include <memory>
#include <mutex>
#include <optional>

#include "core/cpu/packed_matrix.h"
#include "core/cpu/panel_products.h"
#include "core/cpu/row_products.h"

namespace csreft::cpu {
namespace {

class StoredProducts {
 public:
  // `copy`: how products of many rows keep the matrix for themselves; unset: they decode it panel by panel.
  StoredProducts(StoredMatrix weight, std::optional<Packing> copy) : weight_(std::move(weight)), copy_(copy) {}

  std::int64_t read_bytes(std::int64_t rows) const {
    if (!copy_ || is_multiplied_as_stored(rows)) return std::ssize(weight_.bytes());
    return weight_.shape().numel() * (copy_ == Packing::bf16 ? 2 : 4);
  }

  Tensor apply(const Tensor& x) {
    const std::int64_t n = x.rows();
    if (copy_ && !is_multiplied_as_stored(n) && n > 0) return copied().apply(x);
    if (weight_.cols() == 0) return Tensor::zeros({n, weight_.rows()});
    Tensor y = Tensor::empty({n, weight_.rows()});
    if (is_multiplied_as_stored(n)) {
      multiply_stored_rows(x, weight_, y);
    } else if (y.numel() > 0) {
      multiply_panels(x, weight_, y);
    }
    return y;
  }

  Tensor apply_transposed(const Tensor& y) {
    if (copy_ && y.rows() > 0) return copied().apply_transposed(y);
    Tensor x =
        weight_.rows() == 0 ? Tensor::zeros({y.rows(), weight_.cols()}) : Tensor::empty({y.rows(), weight_.cols()});
    if (x.numel() > 0) multiply_panels_transposed(y, weight_, false, x);
    return x;
  }

  void apply_transposed_add(const Tensor& sum, const Tensor& y) {
    if (sum.numel() == 0) return;
    if (copy_) return copied().apply_transposed_add_(sum, y);
    multiply_panels_transposed(y, weight_, true, sum);
  }

 private:
  bool is_multiplied_as_stored(std::int64_t rows) const {
    return rows <= max_row_products && has_row_products(weight_.encoding().form);
  }

  const PackedProducts& copied() {
    std::call_once(once_, [this] { copied_ = pack(weight_.decoded(), *copy_); });
    return copied_;
  }

  const StoredMatrix weight_;
  const std::optional<Packing> copy_;
  std::once_flag once_;  // of what follows
  PackedProducts copied_;
};

std::optional<Packing> copy_of(Packing packing) {
  switch (packing) {
    case Packing::rows: return std::nullopt;
    case Packing::bf16: return has_bf16_products() ? std::optional(Packing::bf16) : std::nullopt;
    default: return packing;
  }
}

}  // namespace

std::int64_t copied_bytes(Packing packing, bool is_stored) {
  if (packing == Packing::bf16) return has_bf16_products() || !is_stored ? 2 : 0;
  if (packing == Packing::rows) return 0;
  return is_stored || packing == Packing::blocks || packs_f32() ? 4 : 0;
}

PackedProducts pack_stored(const StoredMatrix& weight, Packing packing) {
  require(packing != Packing::tf32, "the processor has no TF32: expected a CUDA device, or f32");
  const auto stored = std::make_shared<StoredProducts>(weight, copy_of(packing));
  return {
      .factor_dtype = DType::f32,
      .read_bytes = [stored](std::int64_t rows) { return stored->read_bytes(rows); },
      .apply = [stored](const Tensor& x) { return stored->apply(x); },
      .apply_transposed = [stored](const Tensor& y) { return stored->apply_transposed(y); },
      .apply_transposed_add_ = [stored](const Tensor& sum, const Tensor& y) { stored->apply_transposed_add(sum, y); }};
}

PackedProducts pack_weight(const Tensor& weight, Packing packing) {
  const bool is_kept = packing == Packing::bf16 && weight.dtype() == DType::f32 && !has_bf16_products();
  return is_kept ? pack_stored(StoredMatrix::bf16(weight), packing) : pack(weight, packing);
}

}  // namespace csreft::cpu
