#include "core/base/gzip.h"

#include <string>

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "tests/error_text.h"

namespace {

using namespace std::string_view_literals;

// printf 'hello, hello, hello\n' | gzip -9n
constexpr std::string_view hello =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\xd7\x51\xc8\x40\xa2\xb8\x00\xe7\x42\x6e\x52\x14\x00"
    "\x00\x00"sv;

std::string error_of(std::string_view bytes) {
  return error_text([&] { return csreft::gunzip(bytes, "a.gz").size(); });
}

}  // namespace

TEST_CASE("gzip data are read, several members and zeros at the end included") {
  CHECK(csreft::is_gzip(hello));
  CHECK_FALSE(csreft::is_gzip("[]"));
  const std::string text = "hello, hello, hello\n";
  CHECK(csreft::gunzip(hello, "a.gz") == text);
  CHECK(csreft::gunzip(std::string(hello) + std::string(hello) + std::string(512, '\0'), "a.gz") == text + text);
}

TEST_CASE("damaged gzip data are errors that name the file") {
  for (std::size_t n = 2; n < hello.size(); ++n) CHECK(contains(error_of(hello.substr(0, n)), "a.gz ends before"));
  std::string damaged(hello);
  damaged[hello.size() - 8] = '\x01';  // of the checksum
  CHECK(contains(error_of(damaged), "a.gz is damaged"));
  CHECK(contains(error_of(std::string(hello) + "x"), "other bytes behind"));
}
