#include "core/base/version.h"

#include <doctest/doctest.h>

TEST_CASE("the programme knows its version, and its commit or that there is none") {
  CHECK(csreft::program_version().find('.') != std::string_view::npos);
  const std::string_view commit = csreft::program_commit();
  const std::string_view number = commit.substr(0, commit.find('-'));
  CHECK((commit == "unknown" ||
         (number.size() == 40 && number.find_first_not_of("0123456789abcdef") == std::string_view::npos)));
}
