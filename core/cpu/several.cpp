// Copies and multiples of several tensors.
#include <algorithm>

#include "core/cpu/ops.h"

namespace csreft::cpu {

void copy_all(std::span<const Tensor> x, std::span<const Tensor> y) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    visit_real(x[i].dtype(), "copy_all_", [&]<typename From>(From) {
      visit_real(y[i].dtype(), "copy_all_", [&]<typename To>(To) {
        std::ranges::transform(x[i].span<From>(), y[i].data<To>(), [](From value) { return static_cast<To>(value); });
      });
    });
  }
}

void scale_all(std::span<const Tensor> x, double factor, std::span<const Tensor> y) {
  for (std::size_t i = 0; i < x.size(); ++i) scale(x[i], factor, y[i]);
}

}  // namespace csreft::cpu
