// SwiGLU's activation: y = gate sigmoid(gate) up.
#include "core/cpu/maps.h"
#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {

void silu_mul(const Tensor& gate, const Tensor& up, const Tensor& y) {
  visit_real(y.dtype(), "silu_mul", [&]<typename T>(T) {
    const T* pg = gate.data<T>();
    const T* pu = up.data<T>();
    T* py = y.data<T>();
    for_elements(y.numel(), [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t n = end - begin;
      const auto g = array(pg + begin, n);
      array(py + begin, n) = g * array(pu + begin, n) / (T{1} + (-g).exp());
    });
  });
}

// With s = sigmoid(g): dup = dy g s, dgate = dy up s (1 + g (1 - s)).
void silu_mul_backward(const Tensor& dy, const Tensor& gate, const Tensor& up, const Tensor& dgate, const Tensor& dup) {
  visit_real(dy.dtype(), "silu_mul_backward", [&]<typename T>(T) {
    const T* pdy = dy.data<T>();
    const T* pg = gate.data<T>();
    const T* pu = up.data<T>();
    T* pdg = dgate.data<T>();
    T* pdu = dup.data<T>();
    for_elements(dy.numel(), [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t n = end - begin;
      const auto dy_ = array(pdy + begin, n);
      const auto g = array(pg + begin, n);
      auto s = array(pdg + begin, n);
      s = (T{1} + (-g).exp()).inverse();
      array(pdu + begin, n) = dy_ * g * s;
      s *= dy_ * array(pu + begin, n) * (T{1} + g * (T{1} - s));
    });
  });
}

}  // namespace csreft::cpu
