#include "models/text/regex.h"

#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/error.h"

namespace {

using Found = std::vector<std::string>;

Found matches(std::string_view pattern, std::string_view text) {
  const csreft::Regex regex(pattern, "test");
  csreft::Regex::Search search(regex, text);
  Found found;
  while (const auto match = search.next()) found.emplace_back(text.substr(match->begin, match->end - match->begin));
  return found;
}

}  // namespace

TEST_CASE("patterns mean what they mean in Oniguruma") {
  CHECK(matches("\\s", "a\u0085\u00A0\u180E\u200B ") == Found{"\u0085", "\u00A0", " "});
  CHECK(matches("[^\\S\\n]+", "a \t\n b") == Found{" \t", " "});
  CHECK(matches("\\w+", "a\u0301_\u0663 \u00B2-\u0939\u093F\u2460") ==
        Found{"a\u0301_\u0663", "\u00B2", "\u0939\u093F"});
  CHECK(matches("\\d", "1\u0663\u00B2") == Found{"1", "\u0663"});
  CHECK(matches("\\h+", "xyzBEEf") == Found{"BEEf"});
  CHECK(matches("\\bt\\w", "tin atom\u0301 to") == Found{"ti", "to"});
  CHECK(matches("[a[bc]d]+", "xabcdx") == Found{"abcd"});
  CHECK(matches("[]a]+", "[a]") == Found{"a]"});
  CHECK(matches("[[:digit:]x]+", "a12x") == Found{"12x"});
  CHECK(matches("\\u00e9", "e\u00E9") == Found{"\u00E9"});
  CHECK(matches("^b$", "a\nb\nc") == Found{"b"});
  CHECK(matches("a.b", "a\nb").empty());
  CHECK(matches("(?m:a.b)", "a\nb") == Found{"a\nb"});
}

TEST_CASE("an interval followed by + repeats, and other possessives do not give back") {
  CHECK(matches("\\d{1,3}+", "12345") == Found{"12345"});
  CHECK(matches("x{,2}y", "xxxy") == Found{"xxy"});
  CHECK(matches("a++a", "aaa").empty());
  CHECK(matches("a{2}", "aaaaa") == Found{"aa", "aa"});
}

TEST_CASE("empty matches are found where no match ends") {
  CHECK(matches("x*", "axb") == Found{"", "x", ""});
  CHECK(matches("(?=(\\d{3})+(?!\\d))", "1234567") == Found{"", ""});
}

TEST_CASE("an escaped text is found as it is") {
  const std::string text = R"(a.b*[c]{1}^$|\(?+)-#)";
  CHECK(matches(csreft::Regex::escaped(text), "x" + text + "y") == Found{text});
}

TEST_CASE("patterns that PCRE2 would read otherwise are refused") {
  for (const char* pattern : {"(", "[a&&b]", "[a[^b]]", "[\\W]", "a{2,3}+", "\\u12"}) {
    CAPTURE(pattern);
    CHECK_THROWS_WITH_AS(csreft::Regex(pattern, "x.json"), doctest::Contains("x.json"), csreft::Error);
  }
}
