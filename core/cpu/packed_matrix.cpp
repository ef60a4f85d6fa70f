#include "core/cpu/packed_matrix.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include <dnnl.hpp>

#include "core/base/threads.h"
#include "core/cpu/gemv.h"
#include "core/ops/ops.h"

namespace csreft::cpu {
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
  // Where there is no room for what it makes, oneDNN ends the process by a signal.
  constexpr std::size_t code_bytes = std::size_t{16} << 20U;
  require_address_space(code_bytes, "the code of a product is made");
  const auto forward = forward_desc(weights, rows, out, in);
  if (product == Product::apply) return {dnnl::inner_product_forward(forward), forward.scratchpad_desc()};
  const dnnl::inner_product_backward_data::primitive_desc backward(
      {describe(rows, in), weights, describe(rows, out, weights.data_type())}, caller_scratchpad(), engine(), forward);
  return {dnnl::inner_product_backward_data(backward), backward.scratchpad_desc()};
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

// The products of one matrix in oneDNN's layout.
class Blocks {
 public:
  Blocks(const Tensor& weight, memory::data_type type, memory::desc layout)
      : out_(weight.rows()), in_(weight.cols()), type_(type), layout_(std::move(layout)), weight_(weight) {}

  Tensor multiply(Product product, const Tensor& x) {
    const std::int64_t rows = x.rows();
    if (rows == 0) return Tensor::empty({0, product == Product::apply ? out_ : in_});
    if (type_ == memory::data_type::f32) return multiply_blocks(product, x, rows);
    // oneDNN's bf16 kernels work on tiles of rows: other numbers of rows cost up to ten times as much.
    const std::int64_t tile = rows < 64 ? 16 : 64;
    const std::int64_t padded = (rows + tile - 1) / tile * tile;
    return multiply_blocks(product, rounded(x, padded), padded).slice(0, rows);
  }

 private:
  // x has `rows` rows of the blocks' type.
  Tensor multiply_blocks(Product product, const Tensor& x, std::int64_t rows) {
    const bool forward = product == Product::apply;
    const Tensor y = Tensor::empty({rows, forward ? out_ : in_});
    const auto [primitive, blocks] = prepare(product, rows);
    const Tensor scratchpad = allocate(primitive.scratchpad);
    const memory source(describe(rows, x.cols(), type_), engine(), x.raw());
    const memory product_of(describe(rows, y.cols()), engine(), y.raw());
    dnnl::stream stream(engine());
    primitive.run.execute(stream, {{forward ? DNNL_ARG_SRC : DNNL_ARG_DIFF_DST, source},
                                   {DNNL_ARG_WEIGHTS, {layout_, engine(), blocks.raw()}},
                                   {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_SRC, product_of},
                                   {DNNL_ARG_SCRATCHPAD, {primitive.scratchpad, engine(), scratchpad.raw()}}});
    stream.wait();
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
    const auto made = primitives.emplace(key, make_primitive(product, layout_, rows, out_, in_)).first;
    return {made->second, blocks_};
  }

  void pack() {
    blocks_ = allocate(layout_);
    memory from(describe(out_, in_), engine(), weight_.raw());
    memory to(layout_, engine(), blocks_.raw());
    dnnl::stream stream(engine());
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
    weight_ = {};
  }

  const std::int64_t out_, in_;
  const memory::data_type type_;
  const memory::desc layout_;
  std::mutex mutex_;  // guards what follows
  Tensor weight_;     // undefined once there are blocks
  Tensor blocks_;
  std::map<std::pair<std::int64_t, int>, Primitive> primitives_[2];
};

// The layout that oneDNN has for the matrix, where the packing asks for it.
std::optional<memory::desc> blocks_layout(const Shape& weight, memory::data_type type, Packing packing) {
  if (packing == Packing::rows || weight.numel() == 0) return std::nullopt;
  // The layout does not depend on the number of rows; any that is not tiny asks for it.
  constexpr std::int64_t typical_rows = 512;
  const std::int64_t out = weight[0], in = weight[1];
  const auto wanted = forward_desc(describe(out, in, type, memory::format_tag::any), typical_rows, out, in);
  // Without kernels for blocks oneDNN goes through its sgemm, which reads rows as fast as any other layout.
  const bool has_kernels = std::string_view(wanted.impl_info_str()).find("brgemm") != std::string_view::npos;
  if (packing == Packing::automatic && !has_kernels) return std::nullopt;
  return wanted.weights_desc();
}

PackedProducts products_of_blocks(const Tensor& weight, memory::data_type type, const memory::desc& layout) {
  const auto blocks = std::make_shared<Blocks>(weight, type, layout);
  const std::int64_t bytes = weight.numel() * (type == memory::data_type::bf16 ? 2 : 4);
  return {.factor_dtype = weight.dtype(),
          .read_bytes = [bytes](std::int64_t) { return bytes; },
          .apply = [blocks](const Tensor& x) { return blocks->multiply(Product::apply, x); },
          .apply_transposed = [blocks](const Tensor& y) { return blocks->multiply(Product::apply_transposed, y); },
          .apply_transposed_add_ =
              [blocks](const Tensor& sum, const Tensor& y) {
                ops::add_(sum, blocks->multiply(Product::apply_transposed, y));
              }};
}

// x W^T, W in place.
Tensor multiply_rows(const Tensor& x, const Tensor& weight) {
  if (weight.dtype() != DType::f32 || !gemv_is_faster(x.rows(), weight.cols())) {
    return ops::matmul(x, weight, ops::Transpose::no, ops::Transpose::yes);
  }
  Tensor y = Tensor::empty({x.rows(), weight.rows()});
  gemv(x, weight, y);
  return y;
}

}  // namespace

bool has_bf16_products() {
  const auto isa = dnnl::get_effective_cpu_isa();
  return isa == dnnl::cpu_isa::avx512_core_bf16 || isa == dnnl::cpu_isa::avx512_core_amx;
}

bool packs_f32() {
  static const bool packs = [] {
    const std::int64_t typical = 512;
    return blocks_layout({typical, typical}, memory::data_type::f32, Packing::automatic).has_value();
  }();
  return packs;
}

PackedProducts pack(const Tensor& weight, Packing packing) {
  require(packing != Packing::tf32, "the processor has no TF32: expected a CUDA device, or f32");
  const bool bf16 = packing == Packing::bf16;
  require(!bf16 || weight.dtype() == DType::f32, "a matrix of {} cannot be kept in bf16: expected f32",
          name_of(weight.dtype()));
  const auto type = bf16 ? memory::data_type::bf16 : memory::data_type::f32;
  const auto layout =
      weight.dtype() == DType::f32 ? blocks_layout(weight.shape(), type, packing) : std::optional<memory::desc>();
  if (layout) return products_of_blocks(weight, type, *layout);
  const std::int64_t bytes = weight.numel() * static_cast<std::int64_t>(size_of(weight.dtype()));
  return {.factor_dtype = weight.dtype(),
          .read_bytes = [bytes](std::int64_t) { return bytes; },
          .apply = [weight](const Tensor& x) { return multiply_rows(x, weight); },
          .apply_transposed = [weight](const Tensor& y) { return ops::matmul(y, weight); },
          .apply_transposed_add_ = [weight](const Tensor& sum, const Tensor& y) { ops::matmul_add_(sum, y, weight); }};
}

}  // namespace csreft::cpu
