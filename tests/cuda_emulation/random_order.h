// The order in which threads and blocks run: random, and repeated by its seed.
#pragma once

#include <cstdint>

namespace csreft::emulation {

// The seed of all orders: CSREFT_EMULATION_SEED, or 1.
std::uint64_t seed();
// Starts the sequence of orders anew.
void set_seed(std::uint64_t value);
// A number below n (n > 0), uniform but for a bias of n / 2^32.
std::uint32_t random_below(std::uint32_t n);

}  // namespace csreft::emulation
