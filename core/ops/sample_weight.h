// The weight of a token that may be drawn, in integer arithmetic: the host and kernels have the same.
#pragma once

#include <cstdint>

#include "core/tensor/host_device.h"

namespace csreft {

// 2^31 exp((logit - highest) / temperature), halvings = (highest - logit) log2(e) / temperature, not negative: with
// t = f log(2), f the fraction of the halvings, exp(-t) = 1 - t (1 - t/2 (1 - t/3 (...))), to 2^-29.
CSREFT_HOST_DEVICE inline std::uint64_t sample_weight(double halvings) {
  constexpr std::uint32_t log_2 = 0xB17217F8, one = 1U << 31U;  // in units of 2^-32 and of 2^-31
  if (!(halvings < 32)) return 0;
  const auto fixed = static_cast<std::uint64_t>(halvings * 0x1p32);
  const auto t = static_cast<std::uint32_t>((fixed & 0xffffffffU) * log_2 >> 32U);
  std::uint32_t e = one;
  for (std::uint32_t k = 11; k > 0; --k) e = one - static_cast<std::uint32_t>(std::uint64_t{t} * e >> 32U) / k;
  return e >> static_cast<std::uint32_t>(fixed >> 32U);
}

}  // namespace csreft
