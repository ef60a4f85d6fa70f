// A hash by which contents are told apart, the same on every machine: not a cryptographic one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace csreft {

inline constexpr std::uint64_t fnv1a_start = 0xcbf29ce484222325ULL;

// 64-bit FNV-1a of `bytes`, after what `hash` is the hash of.
constexpr std::uint64_t fnv1a(std::string_view bytes, std::uint64_t hash = fnv1a_start) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

}  // namespace csreft
