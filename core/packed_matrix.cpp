#include "core/packed_matrix.h"

#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include <dnnl.hpp>

#include "core/checks.h"
#include "core/cpu/gemv.h"
#include "core/ops.h"
#include "core/threads.h"

namespace csreft {
namespace {

using dnnl::memory;

dnnl::engine& engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

memory::desc describe(std::int64_t rows, std::int64_t cols, memory::format_tag tag = memory::format_tag::ab) {
  return {{rows, cols}, memory::data_type::f32, tag};
}

enum class Product { apply, apply_transposed };

// Scratch memory is the caller's, so that several threads may run one primitive.
dnnl::primitive_attr caller_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

dnnl::inner_product_forward::primitive_desc forward_desc(const memory::desc& weights, std::int64_t rows,
                                                         std::int64_t out, std::int64_t in) {
  return {{dnnl::prop_kind::forward_inference, describe(rows, in), weights, describe(rows, out)},
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
  const dnnl::inner_product_backward_data::primitive_desc backward({describe(rows, in), weights, describe(rows, out)},
                                                                   caller_scratchpad(), engine(), forward);
  return {dnnl::inner_product_backward_data(backward), backward.scratchpad_desc()};
}

void check_rows(std::string_view op, const Tensor& x, std::int64_t columns, DType dtype) {
  checks::real_matrix(op, "x", x);
  require(x.cols() == columns && x.dtype() == dtype, "{}: x is {} with {} columns, expected {} with {}", op,
          name_of(x.dtype()), x.cols(), name_of(dtype), columns);
}

Tensor allocate(const memory::desc& desc) {
  return Tensor::empty({static_cast<std::int64_t>((desc.get_size() + sizeof(float) - 1) / sizeof(float))});
}

}  // namespace

class PackedMatrix::Impl {
 public:
  Impl(const Tensor& weight, Packing packing)
      : out(weight.rows()), in(weight.cols()), dtype(weight.dtype()), weight_(weight) {
    const bool multiplies = dtype == DType::f32 && weight.device().type == DeviceType::cpu && weight.numel() > 0;
    if (packing == Packing::rows || !multiplies) return;
    // The layout does not depend on the number of rows; any that is not tiny asks for it.
    constexpr std::int64_t typical_rows = 512;
    const auto wanted = forward_desc(describe(out, in, memory::format_tag::any), typical_rows, out, in);
    // Without kernels for blocks oneDNN goes through its sgemm, which reads rows as fast as any other layout.
    const bool has_kernels = std::string_view(wanted.impl_info_str()).find("brgemm") != std::string_view::npos;
    if (packing == Packing::blocks || has_kernels) blocks_desc_ = wanted.weights_desc();
  }

  Tensor multiply(Product product, const Tensor& x) {
    const std::int64_t rows = x.rows(), columns = product == Product::apply ? out : in;
    if (!blocks_desc_) return multiply_rows(product, x);
    Tensor y = Tensor::empty({rows, columns});
    if (rows == 0) return y;
    const auto [primitive, blocks] = prepare(product, rows);
    const Tensor scratchpad = allocate(primitive.scratchpad);
    const bool forward = product == Product::apply;
    dnnl::stream stream(engine());
    primitive.run.execute(stream,
                          {{forward ? DNNL_ARG_SRC : DNNL_ARG_DIFF_DST, {describe(rows, x.cols()), engine(), x.raw()}},
                           {DNNL_ARG_WEIGHTS, {*blocks_desc_, engine(), blocks.raw()}},
                           {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_SRC, {describe(rows, columns), engine(), y.raw()}},
                           {DNNL_ARG_SCRATCHPAD, {primitive.scratchpad, engine(), scratchpad.raw()}}});
    stream.wait();
    return y;
  }

  const std::int64_t out, in;
  const DType dtype;

 private:
  Tensor multiply_rows(Product product, const Tensor& x) const {
    if (product == Product::apply_transposed) return ops::matmul(x, weight_);
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

Tensor PackedMatrix::apply(const Tensor& x) const {
  check_rows("PackedMatrix::apply", x, impl_->in, impl_->dtype);
  return impl_->multiply(Product::apply, x);
}

Tensor PackedMatrix::apply_transposed(const Tensor& y) const {
  check_rows("PackedMatrix::apply_transposed", y, impl_->out, impl_->dtype);
  return impl_->multiply(Product::apply_transposed, y);
}

}  // namespace csreft
