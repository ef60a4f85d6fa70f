// What kernels may call. Barriers and warp functions know the line that calls them, for reports.
#pragma once

#include <bit>
#include <concepts>
#include <source_location>
#include <type_traits>

#include <math.h>

#include "emulation/device.h"
#include "emulation/vector_types.h"

// A thread's place. The emulation sets these whenever it resumes a thread, so to the thread they are constants: const
// here lets the compiler keep them in registers.
extern const uint3 threadIdx;
extern const uint3 blockIdx;
extern const dim3 blockDim;
extern const dim3 gridDim;
inline constexpr int warpSize = 32;

// ---- barriers and fences --------------------------------------------------------------------------------------------

inline void __syncthreads(std::source_location where = std::source_location::current()) {
  csreft::emulation::sync_block(where);
}
inline void __syncwarp(unsigned mask = 0xffffffffU, std::source_location where = std::source_location::current()) {
  csreft::emulation::sync_warp(mask, where);
}
// One thread of the emulation runs at a time, and each sees what the ones before it wrote.
inline void __threadfence() {}
inline void __threadfence_block() {}

// ---- warp shuffles: T of 4 or 8 bytes -------------------------------------------------------------------------------

namespace csreft::emulation {

template <typename T>
concept Shuffled = std::is_trivially_copyable_v<T> &&(sizeof(T) == 4 || sizeof(T) == 8);

template <Shuffled T>
T shuffle(unsigned mask, T value, Shuffle kind, unsigned operand, int width, std::source_location where) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  return std::bit_cast<T>(
      static_cast<Bits>(shuffle_bits(mask, std::bit_cast<Bits>(value), kind, operand, width, where)));
}

}  // namespace csreft::emulation

template <csreft::emulation::Shuffled T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32,
              std::source_location where = std::source_location::current()) {
  return csreft::emulation::shuffle(mask, value, csreft::emulation::Shuffle::index, static_cast<unsigned>(lane), width,
                                    where);
}
template <csreft::emulation::Shuffled T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  std::source_location where = std::source_location::current()) {
  return csreft::emulation::shuffle(mask, value, csreft::emulation::Shuffle::exclusive_or,
                                    static_cast<unsigned>(lane_mask), width, where);
}
template <csreft::emulation::Shuffled T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   std::source_location where = std::source_location::current()) {
  return csreft::emulation::shuffle(mask, value, csreft::emulation::Shuffle::down, delta, width, where);
}
template <csreft::emulation::Shuffled T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 std::source_location where = std::source_location::current()) {
  return csreft::emulation::shuffle(mask, value, csreft::emulation::Shuffle::up, delta, width, where);
}

// ---- warp votes -----------------------------------------------------------------------------------------------------

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              std::source_location where = std::source_location::current()) {
  return csreft::emulation::ballot(mask, predicate != 0, where);
}
inline int __any_sync(unsigned mask, int predicate, std::source_location where = std::source_location::current()) {
  return csreft::emulation::ballot(mask, predicate != 0, where) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate, std::source_location where = std::source_location::current()) {
  return csreft::emulation::ballot(mask, predicate != 0, where) == mask ? 1 : 0;
}

// ---- integer atomics ------------------------------------------------------------------------------------------------

template <typename T>
concept AtomicInteger = std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, unsigned long long>;

template <AtomicInteger T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return static_cast<T>(csreft::emulation::atomic_add(address, sizeof(T), static_cast<std::uint64_t>(value)));
}

// ---- arithmetic -----------------------------------------------------------------------------------------------------

template <typename T>
T __ldg(const T* address) {
  return *address;
}

inline float rsqrtf(float x) { return 1.0F / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float rsqrt(float x) { return rsqrtf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0F / x; }
// The C library has functions of these names that are not to be called.
#define __expf expf
#define __logf logf
#define __log2f log2f
#define __powf powf
#define __sinf sinf
#define __cosf cosf

inline int __popc(unsigned bits) { return std::popcount(bits); }
inline int __clz(int bits) { return std::countl_zero(static_cast<unsigned>(bits)); }
inline int __ffs(int bits) { return bits == 0 ? 0 : std::countr_zero(static_cast<unsigned>(bits)) + 1; }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<std::uint64_t>(a) * b) >> 32);
}
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }

template <typename T>
requires std::is_arithmetic_v<T>
constexpr T min(T a, T b) { return b < a ? b : a; }
template <typename T>
requires std::is_arithmetic_v<T>
constexpr T max(T a, T b) { return a < b ? b : a; }
