// Hashes by which contents are told apart, the same on every machine: not cryptographic ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace csreft {

inline constexpr std::uint64_t fnv1a_start = 0xcbf29ce484222325ULL;

// 64-bit FNV-1a of `bytes`, after what `hash` is the hash of.
constexpr std::uint64_t fnv1a(std::string_view bytes, std::uint64_t hash = fnv1a_start) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

// XXH64 (Collet, xxHash's specification 0.1.1) with seed 0: some bytes a cycle, where FNV-1a takes some cycles a byte.
std::uint64_t xxh64(std::span<const std::byte> bytes);

// A hash of large contents, at the rate at which memory is read: XXH64 of the XXH64s, in order, of pieces of 1 MiB. The
// pieces are shared out to threads, whose number does not change it.
std::uint64_t content_hash(std::span<const std::byte> bytes);
// The same of `size` bytes that exist a piece at a time: write(begin, piece) puts those from `begin` on into the piece.
// It is called by several threads and must not throw.
std::uint64_t content_hash(std::size_t size,
                           const std::function<void(std::size_t begin, std::span<std::byte> piece)>& write);

}  // namespace csreft
