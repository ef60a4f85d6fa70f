#include "core/tensor/packed_matrix.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include <dnnl.hpp>

#include "core/base/threads.h"
#include "core/cpu/gemv.h"
#include "core/ops/checks.h"
#include "core/ops/ops.h"

namespace csreft {
namespace {

using dnnl::memory;

dnnl::engine& engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

memory::desc describe(std::int64_t rows, std::int64_t cols, memory::data_type type = memory::data_type::f32,
                      memory::format_tag tag = memory::format_tag::ab) {
  return {{rows, cols}, type, tag};
}

enum class Product { apply, apply_transposed };

// Scratch memory is the caller's, so that several threads may run one primitive.
dnnl::primitive_attr caller_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

// The factors have the weights' type, the product is f32.
dnnl::inner_product_forward::primitive_desc forward_desc(const memory::desc& weights, std::int64_t rows,
                                                         std::int64_t out, std::int64_t in) {
  return {{dnnl::prop_kind::forward_inference, describe(rows, in, weights.data_type()), weights, describe(rows, out)},
          caller_scratchpad(),
          engine()};
}

// A product for one number of rows.
struct Primitive {
  dnnl::primitive run;
  memory::desc scratchpad;
};

Primitive make_primitive(Product product, const memory::desc& weights, std::int64_t rows, std::int64_t out,
                         std::int64_t in) {
  const auto forward = forward_desc(weights, rows, out, in);
  if (product == Product::apply) return {dnnl::inner_product_forward(forward), forward.scratchpad_desc()};
  const dnnl::inner_product_backward_data::primitive_desc backward(
      {describe(rows, in), weights, describe(rows, out, weights.data_type())}, caller_scratchpad(), engine(), forward);
  return {dnnl::inner_product_backward_data(backward), backward.scratchpad_desc()};
}

void check_rows(std::string_view op, const Tensor& x, std::int64_t columns, const PackedMatrix& matrix) {
  require(x.defined() && x.shape().rank() == 2, "{}: x is no matrix: expected [n, {}]", op, columns);
  require(
      x.cols() == columns && (x.dtype() == matrix.dtype() || x.dtype() == matrix.factor_dtype()),
      "{}: x is {} with {} columns, expected {}{} with {}", op, name_of(x.dtype()), x.cols(), name_of(matrix.dtype()),
      matrix.factor_dtype() == matrix.dtype() ? "" : fmt::format(" or {}", name_of(matrix.factor_dtype())), columns);
}

Tensor allocate(const memory::desc& desc) {
  return Tensor::empty({static_cast<std::int64_t>((desc.get_size() + sizeof(float) - 1) / sizeof(float))});
}

// x in bf16 and, below it, zeros up to `rows` rows.
Tensor rounded(const Tensor& x, std::int64_t rows) {
  const Tensor y = Tensor::empty({rows, x.cols()}, DType::bf16);
  const float* from = x.data<float>();
  auto* to = y.data<bfloat16>();
  const std::int64_t n = x.numel();
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < n; ++i) to[i] = bfloat16(from[i]);
  std::fill(to + n, to + y.numel(), bfloat16());
  return y;
}

}  // namespace

bool has_bf16_products() {
  const auto isa = dnnl::get_effective_cpu_isa();
  return isa == dnnl::cpu_isa::avx512_core_bf16 || isa == dnnl::cpu_isa::avx512_core_amx;
}

class PackedMatrix::Impl {
 public:
  Impl(const Tensor& weight, Packing packing)
      : out(weight.rows()), in(weight.cols()), dtype(weight.dtype()), weight_(weight) {
    if (packing == Packing::tf32) {
      require(weight.device().type != DeviceType::cpu, "the processor has no TF32: expected a CUDA device, or f32");
      require(dtype == DType::f32, "a matrix of {} cannot be multiplied in TF32: expected f32", name_of(dtype));
      tf32_ = true;
      return;
    }
    const bool bf16 = packing == Packing::bf16;
    require(!bf16 || dtype == DType::f32, "a matrix of {} cannot be kept in bf16: expected f32", name_of(dtype));
    if (bf16 && weight.device().type != DeviceType::cpu) {
      weight_ = weight.to(DType::bf16);
      return;
    }
    require(!bf16 || has_bf16_products(),
            "this processor does not multiply bf16: expected one with AVX-512 BF16 or AMX, or weights in f32");
    const bool multiplies = dtype == DType::f32 && weight.device().type == DeviceType::cpu && weight.numel() > 0;
    if (packing == Packing::rows || !multiplies) return;
    type_ = bf16 ? memory::data_type::bf16 : memory::data_type::f32;
    // The layout does not depend on the number of rows; any that is not tiny asks for it.
    constexpr std::int64_t typical_rows = 512;
    const auto wanted = forward_desc(describe(out, in, type_, memory::format_tag::any), typical_rows, out, in);
    // Without kernels for blocks oneDNN goes through its sgemm, which reads rows as fast as any other layout.
    const bool has_kernels = std::string_view(wanted.impl_info_str()).find("brgemm") != std::string_view::npos;
    if (bf16 || packing == Packing::blocks || has_kernels) blocks_desc_ = wanted.weights_desc();
  }

  Tensor multiply(Product product, const Tensor& x) {
    const std::int64_t rows = x.rows(), columns = product == Product::apply ? out : in;
    if (!blocks_desc_) return multiply_rows(product, x);
    if (rows == 0) return Tensor::empty({0, columns});
    if (type_ == memory::data_type::f32) return multiply_blocks(product, x, rows);
    // oneDNN's bf16 kernels work on tiles of rows: other numbers of rows cost up to ten times as much.
    const std::int64_t tile = rows < 64 ? 16 : 64;
    const std::int64_t padded = (rows + tile - 1) / tile * tile;
    return multiply_blocks(product, rounded(x, padded), padded).slice(0, rows);
  }

  // sum += y W
  void multiply_add(const Tensor& sum, const Tensor& y) {
    if (blocks_desc_) return ops::add_(sum, multiply(Product::apply_transposed, y));
    if (tf32_) return ops::matmul_tf32_add_(sum, y, weight_);
    if (weight_.dtype() == DType::bf16) return ops::matmul_bf16_add_(sum, y, weight_);
    ops::matmul_add_(sum, y, weight_);
  }

  DType factor_dtype() const { return !blocks_desc_ && weight_.dtype() == DType::bf16 ? DType::bf16 : dtype; }

  const std::int64_t out, in;
  const DType dtype;

 private:
  // x has `rows` rows of the blocks' type.
  Tensor multiply_blocks(Product product, const Tensor& x, std::int64_t rows) {
    const bool forward = product == Product::apply;
    const Tensor y = Tensor::empty({rows, forward ? out : in});
    const auto [primitive, blocks] = prepare(product, rows);
    const Tensor scratchpad = allocate(primitive.scratchpad);
    const memory source(describe(rows, x.cols(), type_), engine(), x.raw());
    const memory product_of(describe(rows, y.cols()), engine(), y.raw());
    dnnl::stream stream(engine());
    primitive.run.execute(stream, {{forward ? DNNL_ARG_SRC : DNNL_ARG_DIFF_DST, source},
                                   {DNNL_ARG_WEIGHTS, {*blocks_desc_, engine(), blocks.raw()}},
                                   {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_SRC, product_of},
                                   {DNNL_ARG_SCRATCHPAD, {primitive.scratchpad, engine(), scratchpad.raw()}}});
    stream.wait();
    return y;
  }

  Tensor multiply_rows(Product product, const Tensor& x) const {
    const bool apply = product == Product::apply;
    if (tf32_) return ops::matmul_tf32(x, weight_, apply ? ops::Transpose::yes : ops::Transpose::no);
    if (weight_.dtype() == DType::bf16) {
      return ops::matmul_bf16(x, weight_, apply ? ops::Transpose::yes : ops::Transpose::no);
    }
    if (!apply) return ops::matmul(x, weight_);
    if (dtype != DType::f32 || x.device().type != DeviceType::cpu || !cpu::gemv_is_faster(x.rows(), in)) {
      return ops::matmul(x, weight_, ops::Transpose::no, ops::Transpose::yes);
    }
    Tensor y = Tensor::empty({x.rows(), out});
    cpu::gemv(x, weight_, y);
    return y;
  }

  // The primitive for this number of rows and of threads, and the blocks that it reads; both are made when missing.
  std::pair<Primitive, Tensor> prepare(Product product, std::int64_t rows) {
    constexpr std::size_t max_primitives = 64;
    const std::lock_guard lock(mutex_);
    if (!blocks_.defined()) pack();
    auto& primitives = primitives_[product == Product::apply ? 0 : 1];
    const std::pair key(rows, threads());
    if (const auto found = primitives.find(key); found != primitives.end()) return {found->second, blocks_};
    if (primitives.size() == max_primitives) primitives.clear();
    const auto made = primitives.emplace(key, make_primitive(product, *blocks_desc_, rows, out, in)).first;
    return {made->second, blocks_};
  }

  void pack() {
    blocks_ = allocate(*blocks_desc_);
    memory from(describe(out, in), engine(), weight_.raw());
    memory to(*blocks_desc_, engine(), blocks_.raw());
    dnnl::stream stream(engine());
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
    weight_ = {};
  }

  Tensor weight_;  // undefined once there are blocks
  bool tf32_ = false;
  memory::data_type type_ = memory::data_type::f32;  // of the blocks
  std::optional<memory::desc> blocks_desc_;
  std::mutex mutex_;  // guards what follows, and weight_
  Tensor blocks_;
  std::map<std::pair<std::int64_t, int>, Primitive> primitives_[2];
};

PackedMatrix::PackedMatrix(const Tensor& weight, Packing packing) {
  checks::real_matrix("PackedMatrix", "weight", weight);
  impl_ = std::make_shared<Impl>(weight, packing);
}

std::int64_t PackedMatrix::out_features() const { return impl_->out; }
std::int64_t PackedMatrix::in_features() const { return impl_->in; }
DType PackedMatrix::dtype() const { return impl_->dtype; }
DType PackedMatrix::factor_dtype() const { return impl_->factor_dtype(); }

Tensor PackedMatrix::apply(const Tensor& x) const {
  check_rows("PackedMatrix::apply", x, impl_->in, *this);
  return impl_->multiply(Product::apply, x);
}

Tensor PackedMatrix::apply_transposed(const Tensor& y) const {
  check_rows("PackedMatrix::apply_transposed", y, impl_->out, *this);
  return impl_->multiply(Product::apply_transposed, y);
}

void PackedMatrix::apply_transposed_add_(const Tensor& sum, const Tensor& y) const {
  check_rows("PackedMatrix::apply_transposed_add_", y, impl_->out, *this);
  require(sum.defined() && sum.shape() == Shape{y.rows(), impl_->in} && sum.dtype() == impl_->dtype,
          "PackedMatrix::apply_transposed_add_: the sum does not fit, expected {} [{}, {}]", name_of(impl_->dtype),
          y.rows(), impl_->in);
  impl_->multiply_add(sum, y);
}

}  // namespace csreft
