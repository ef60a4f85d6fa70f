#include "core/base/split.h"

#include <doctest/doctest.h>

TEST_CASE("text is split at each separator, and parts may be empty") {
  using Parts = std::vector<std::string_view>;
  CHECK(csreft::split("6,12;18") == Parts{"6", "12", "18"});
  CHECK(csreft::split("a,,b,") == Parts{"a", "", "b", ""});
  CHECK(csreft::split("") == Parts{""});
  CHECK(csreft::split("lora+loreft", "+") == Parts{"lora", "loreft"});
  CHECK(csreft::split("a,b", "+") == Parts{"a,b"});
}
