#include "core/base/hash.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

namespace csreft {
namespace {

constexpr std::uint64_t prime1 = 0x9E3779B185EBCA87U, prime2 = 0xC2B2AE3D27D4EB4FU, prime3 = 0x165667B19E3779F9U,
                        prime4 = 0x85EBCA77C2B2AE63U, prime5 = 0x27D4EB2F165667C5U;

static_assert(std::endian::native == std::endian::little, "XXH64 reads little-endian numbers");

template <typename Number>
std::uint64_t read(const std::byte* at) {
  Number number;
  std::memcpy(&number, at, sizeof(number));
  return number;
}

std::uint64_t mix(std::uint64_t lane, std::uint64_t input) { return std::rotl(lane + input * prime2, 31) * prime1; }

std::uint64_t merge(std::uint64_t hash, std::uint64_t lane) { return (hash ^ mix(0, lane)) * prime1 + prime4; }

// Stripes of 32 bytes, four lanes side by side; moves `at` to what is left.
std::uint64_t hash_stripes(const std::byte*& at, const std::byte* end) {
  std::array<std::uint64_t, 4> lanes{prime1 + prime2, prime2, 0, 0 - prime1};
  for (; end - at >= 32; at += 32) {
    for (std::size_t i = 0; i < lanes.size(); ++i) lanes[i] = mix(lanes[i], read<std::uint64_t>(at + 8 * i));
  }
  std::uint64_t hash =
      std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
  for (const std::uint64_t lane : lanes) hash = merge(hash, lane);
  return hash;
}

}  // namespace

std::uint64_t xxh64(std::span<const std::byte> bytes) {
  const std::byte* at = bytes.data();
  const std::byte* const end = at + bytes.size();
  std::uint64_t hash = (bytes.size() >= 32 ? hash_stripes(at, end) : prime5) + bytes.size();
  for (; end - at >= 8; at += 8) hash = std::rotl(hash ^ mix(0, read<std::uint64_t>(at)), 27) * prime1 + prime4;
  if (end - at >= 4) {
    hash = std::rotl(hash ^ (read<std::uint32_t>(at) * prime1), 23) * prime2 + prime3;
    at += 4;
  }
  for (; at < end; ++at) hash = std::rotl(hash ^ (read<std::uint8_t>(at) * prime5), 11) * prime1;
  hash = (hash ^ (hash >> 33U)) * prime2;
  hash = (hash ^ (hash >> 29U)) * prime3;
  return hash ^ (hash >> 32U);
}

namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 20U;

// Of each piece of `size` bytes, hash(begin, length).
template <typename Hash>
std::uint64_t hash_pieces(std::size_t size, const Hash& hash) {
  std::vector<std::uint64_t> hashes((size + piece_bytes - 1) / piece_bytes);
#pragma omp parallel for schedule(static) if (hashes.size() > 1)
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    hashes[i] = hash(i * piece_bytes, std::min(piece_bytes, size - i * piece_bytes));
  }
  return xxh64(std::as_bytes(std::span(hashes)));
}

}  // namespace

std::uint64_t content_hash(std::span<const std::byte> bytes) {
  return hash_pieces(bytes.size(),
                     [&](std::size_t begin, std::size_t length) { return xxh64(bytes.subspan(begin, length)); });
}

std::uint64_t content_hash(std::size_t size,
                           const std::function<void(std::size_t begin, std::span<std::byte> piece)>& write) {
  return hash_pieces(size, [&](std::size_t begin, std::size_t length) {
    thread_local std::vector<std::byte> kept(piece_bytes);
    const auto piece = std::span(kept).first(length);
    write(begin, piece);
    return xxh64(piece);
  });
}

}  // namespace csreft
