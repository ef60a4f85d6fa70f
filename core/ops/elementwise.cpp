// Elementwise primitives: what their arguments must be, and the call of a backend.
#include <vector>

#include "core/ops/dispatch.h"

namespace csreft::ops {

Tensor add(const Tensor& a, const Tensor& b) { return binary("add", a, b, &Backend::add); }
Tensor sub(const Tensor& a, const Tensor& b) { return binary("sub", a, b, &Backend::sub); }
Tensor mul(const Tensor& a, const Tensor& b) { return binary("mul", a, b, &Backend::mul); }

Tensor scale(const Tensor& x, double factor) {
  checks::real("scale", "x", x);
  Tensor y = empty_like(x);
  backend(x, &Backend::scale)(x, factor, y);
  return y;
}

void copy_(const Tensor& y, const Tensor& x) {
  if (y.defined() && y.dtype() == DType::i32) {
    checks::index("copy_", "x", x.defined() ? x.view({x.numel()}) : x, y.numel());
    return copy_bytes(y.raw(), y.device(), x.raw(), x.device(), x.bytes());
  }
  checks::real("copy_", "y", y);
  checks::real("copy_", "x", x);
  const Tensor here = x.to(y.device());
  checks::like("copy_", "x", here, y.shape(), y);
  backend(y, &Backend::copy)(here, y);
}

void add_(const Tensor& y, const Tensor& x) { axpy_(y, 1, x); }

void axpy_(const Tensor& y, double factor, const Tensor& x) {
  checks::real("axpy_", "y", y);
  checks::like("axpy_", "x", x, y.shape(), y);
  backend(y, &Backend::axpy)(factor, x, y);
}

std::vector<Tensor> scale_all(std::span<const Tensor> tensors, double factor) {
  const std::vector<Tensor> x = defined_and_alike("scale_all", tensors);
  std::vector<Tensor> y, all;
  for (const Tensor& t : tensors) {
    all.push_back(t.defined() ? empty_like(t) : Tensor{});
    if (t.defined()) y.push_back(all.back());
  }
  if (!x.empty()) backend(x.front(), &Backend::scale_all)(x, factor, y);
  return all;
}

void copy_all_(std::span<const Tensor> y, std::span<const Tensor> x) {
  require(x.size() == y.size(), "copy_all_: {} tensors, expected {}", x.size(), y.size());
  const std::vector<Tensor> from = defined_and_alike("copy_all_", x), to = defined_and_alike("copy_all_", y);
  require(from.size() == x.size() && to.size() == y.size(), "copy_all_: a tensor is undefined, expected none");
  if (x.empty()) return;
  require(from.front().device() == to.front().device(), "copy_all_: x is on {}, expected {}",
          to_string(from.front().device()), to_string(to.front().device()));
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i].shape() != y[i].shape()) {
      fail("copy_all_: x has shape {}, expected {}", x[i].shape().str(), y[i].shape().str());
    }
  }
  backend(to.front(), &Backend::copy_all)(from, to);
}

Tensor relu(const Tensor& x) { return unary("relu", x, &Backend::relu); }
Tensor relu_backward(const Tensor& dy, const Tensor& y) {
  return binary("relu_backward", dy, y, &Backend::relu_backward);
}
Tensor sigmoid(const Tensor& x) { return unary("sigmoid", x, &Backend::sigmoid); }
Tensor sigmoid_backward(const Tensor& dy, const Tensor& y) {
  return binary("sigmoid_backward", dy, y, &Backend::sigmoid_backward);
}
Tensor silu_mul(const Tensor& gate, const Tensor& up) { return binary("silu_mul", gate, up, &Backend::silu_mul); }

SiluMulGradient silu_mul_backward(const Tensor& dy, const Tensor& gate, const Tensor& up) {
  checks::real("silu_mul_backward", "dy", dy);
  checks::like("silu_mul_backward", "gate", gate, dy.shape(), dy);
  checks::like("silu_mul_backward", "up", up, dy.shape(), dy);
  SiluMulGradient d{empty_like(dy), empty_like(dy)};
  backend(dy, &Backend::silu_mul_backward)(dy, gate, up, d.dgate, d.dup);
  return d;
}

Tensor binary_entropy(const Tensor& p) { return unary("binary_entropy", p, &Backend::binary_entropy); }
Tensor binary_entropy_backward(const Tensor& dy, const Tensor& p) {
  return binary("binary_entropy_backward", dy, p, &Backend::binary_entropy_backward);
}
Tensor xlogx(const Tensor& x) { return unary("xlogx", x, &Backend::xlogx); }
Tensor xlogx_backward(const Tensor& dy, const Tensor& x) {
  return binary("xlogx_backward", dy, x, &Backend::xlogx_backward);
}
Tensor silu(const Tensor& x) { return unary("silu", x, &Backend::silu); }
Tensor silu_backward(const Tensor& dy, const Tensor& x) {
  return binary("silu_backward", dy, x, &Backend::silu_backward);
}
Tensor tanh(const Tensor& x) { return unary("tanh", x, &Backend::tanh); }
Tensor tanh_backward(const Tensor& dy, const Tensor& y) {
  return binary("tanh_backward", dy, y, &Backend::tanh_backward);
}
Tensor gelu(const Tensor& x) { return unary("gelu", x, &Backend::gelu); }
Tensor gelu_backward(const Tensor& dy, const Tensor& x) {
  return binary("gelu_backward", dy, x, &Backend::gelu_backward);
}
Tensor sign(const Tensor& x) { return unary("sign", x, &Backend::sign); }

Tensor threshold(const Tensor& x, double tau) {
  checks::real("threshold", "x", x);
  Tensor y = empty_like(x);
  backend(x, &Backend::threshold)(x, tau, y);
  return y;
}

}  // namespace csreft::ops
