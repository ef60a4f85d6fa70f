#include "random_order.h"

#include <cstdlib>

namespace csreft::emulation {
namespace {

struct Sequence {
  std::uint64_t seed;
  std::uint64_t state = seed;
};

std::uint64_t seed_of_environment() {
  const char* const text = std::getenv("CSREFT_EMULATION_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 1;
}

Sequence& sequence() {
  static Sequence instance{seed_of_environment()};
  return instance;
}

}  // namespace

std::uint64_t seed() { return sequence().seed; }
void set_seed(std::uint64_t value) { sequence() = Sequence{value}; }

// SplitMix64 (Steele, Lea and Flood 2014).
std::uint32_t random_below(std::uint32_t n) {
  std::uint64_t z = (sequence().state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return static_cast<std::uint32_t>(((z ^ (z >> 31)) >> 32) * n >> 32);
}

}  // namespace csreft::emulation
