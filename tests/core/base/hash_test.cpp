#include "core/base/hash.h"

#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/threads.h"

namespace {

std::uint64_t xxh64_of(std::string_view text) { return csreft::xxh64(std::as_bytes(std::span(text))); }

}  // namespace

TEST_CASE("XXH64 is that of its authors' programme, whatever the length leaves over") {
  CHECK(xxh64_of("") == 0xEF46DB3751D8E999U);
  CHECK(xxh64_of("abc") == 0x44BC2CF5AD770999U);
  CHECK(xxh64_of("Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1U);
}

TEST_CASE("a hash of contents depends on every byte and on their order, and not on the number of threads") {
  constexpr std::size_t piece = std::size_t{1} << 20U;
  std::vector<std::byte> bytes(2 * piece + 13);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 31 + i / piece);
  const int before = csreft::threads();
  csreft::set_threads(1);
  const auto own = csreft::content_hash(bytes);
  csreft::set_threads(2);
  CHECK(csreft::content_hash(bytes) == own);
  csreft::set_threads(before);
  for (const std::size_t at : {std::size_t{0}, piece - 1, piece, 2 * piece + 12}) {
    bytes[at] ^= std::byte{0x80};
    CHECK(csreft::content_hash(bytes) != own);
    bytes[at] ^= std::byte{0x80};
  }
  CHECK(csreft::content_hash(bytes) == own);
  std::swap_ranges(bytes.begin(), bytes.begin() + piece, bytes.begin() + piece);
  CHECK(csreft::content_hash(bytes) != own);
  CHECK(csreft::content_hash({}) != csreft::content_hash(std::span(bytes).first(1)));
}

TEST_CASE("contents that exist a piece at a time have the hash of the whole") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, (std::size_t{1} << 20U) + 1, std::size_t{3} << 20U}) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 31 + i / 999);
    const auto write = [&](std::size_t begin, std::span<std::byte> piece) {
      std::ranges::copy(std::span(bytes).subspan(begin, piece.size()), piece.begin());
    };
    CHECK(csreft::content_hash(size, write) == csreft::content_hash(bytes));
  }
}
