#include "reft/positions.h"

#include <doctest/doctest.h>

#include "tests/error_text.h"

using csreft::parse_positions;
using csreft::PositionGroup;

namespace {

using Positions = std::vector<std::int32_t>;

PositionGroup group(std::string_view text, bool tied = true, std::size_t i = 0) {
  return parse_positions(text, tied).at(i);
}

std::string parse_error(std::string_view text) {
  return error_text([&] { return parse_positions(text, true); });
}

Positions numbers(const csreft::Tensor& t) {
  const auto span = t.span<std::int32_t>();
  return {span.begin(), span.end()};
}

}  // namespace

TEST_CASE("f3+l2, untied: the first three and the last two, each with parameters of its own") {
  const auto groups = parse_positions("f3+l2", false);
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].side == "f");
  CHECK(groups[1].side == "l");
  CHECK(groups[0].positions(10) == Positions{0, 1, 2});
  CHECK(groups[1].positions(10) == Positions{8, 9});
}

TEST_CASE("f3+l2, tied: one group with all of them") {
  const auto groups = parse_positions("f3+l2", true);
  REQUIRE(groups.size() == 1);
  CHECK(groups[0].side == "t");
  CHECK(groups[0].positions(10) == Positions{0, 1, 2, 8, 9});
}

TEST_CASE("l2+f3 is f3+l2") {
  const auto groups = parse_positions("l2+f3", false);
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].side == "l");
  CHECK(groups[0].positions(10) == Positions{8, 9});
  CHECK(group("l2+f3").positions(10) == Positions{0, 1, 2, 8, 9});
}

TEST_CASE("in a short prompt each end has at most half of it, rounded down, so that no token is edited twice") {
  const auto groups = parse_positions("f5+l5", false);
  CHECK(groups[0].positions(10) == Positions{0, 1, 2, 3, 4});
  CHECK(groups[1].positions(10) == Positions{5, 6, 7, 8, 9});
  CHECK(groups[0].positions(9) == Positions{0, 1, 2, 3});
  CHECK(groups[1].positions(9) == Positions{5, 6, 7, 8});
  CHECK(groups[0].positions(3) == Positions{0});
  CHECK(groups[1].positions(3) == Positions{2});
  CHECK(groups[0].positions(2) == Positions{0});
  CHECK(groups[1].positions(2) == Positions{1});
  CHECK(groups[0].positions(1).empty());
  CHECK(groups[1].positions(1).empty());
  CHECK(group("f5+l5").positions(5) == Positions{0, 1, 3, 4});
  CHECK(group("f1+l5").positions(7) == Positions{0, 4, 5, 6});
}

TEST_CASE("one end alone may have the whole prompt") {
  CHECK(group("f5").positions(3) == Positions{0, 1, 2});
  CHECK(group("l5").positions(3) == Positions{0, 1, 2});
  CHECK(group("f2").positions(5) == Positions{0, 1});
  CHECK(group("l2").positions(5) == Positions{3, 4});
  CHECK(group("l1").positions(1) == Positions{0});
  CHECK(group("f2", false).side == "f");
  CHECK(group("l2", false).side == "l");
  CHECK(group("l2", true).side == "t");
}

TEST_CASE("all is every token of the prompt") {
  CHECK(group("all").positions(4) == Positions{0, 1, 2, 3});
  CHECK(group("all", false).side == "t");
}

TEST_CASE("a list counts from either end, in any order, and names a token once") {
  CHECK(group("0,3,-1").positions(6) == Positions{0, 3, 5});
  CHECK(group("-1,0").positions(2) == Positions{0, 1});
  CHECK(group("0,-4,3,-1").positions(4) == Positions{0, 3});
  CHECK(group("2").positions(3) == Positions{2});
}

TEST_CASE("a listed position outside a prompt is an error") {
  const auto at = [](std::string_view text, std::int64_t length) {
    return error_text([&] { return group(text).positions(length); });
  };
  CHECK(contains(at("0,3", 3), "position 3 lies outside a prompt of 3 tokens"));
  CHECK(contains(at("-4", 3), "position -4 lies outside a prompt of 3 tokens"));
  CHECK(at("-3", 3).empty());
}

TEST_CASE("what names no positions is refused with what is accepted") {
  for (const auto* text :
       {"",      "f",      "l",   "x5",   "f5+",    "+l5",   "f5+l",  "f5l5", "f5+l5+f1",
        "f5=f3", "f5++l5", "=",   "5+l",  "ff5",    "f 5",   "F5",    "f5=",  "=f5",
        "first", "last",   "All", "f5,1", "f5+=l5", "1:f5",  "all,1", "1,,2", "1,",
        ",1",    "1.5",    "one", "allx", ":",      "1:2:3", "1:x",   "2:6,", "f99999999999999999999"}) {
    CAPTURE(text);
    CHECK(contains(parse_error(text),
                   "expected groups joined by + or =, each of them f5, l5, all, everywhere, or a "
                   "list such as 0,3,-1,2:6"));
  }
  CHECK(contains(parse_error("f0"), "edit nothing"));
  CHECK(contains(parse_error("f5+l0"), "edit nothing"));
  CHECK(contains(parse_error("f-2"), "edit nothing"));
  CHECK(contains(parse_error("f5+f3"), "the same end twice"));
}

TEST_CASE("groups joined by = are one, with the tokens of both; those joined by + are several") {
  const auto one = parse_positions("f5=l5", false);
  REQUIRE(one.size() == 1);
  CHECK(one[0].side == "t");
  CHECK(one[0].positions(12) == group("f5+l5", true).positions(12));
  CHECK(one[0].positions(5) == Positions{0, 1, 3, 4});  // half of the prompt each, as in f5+l5

  const auto three = parse_positions("f2+l2+0,5,-3", false);
  REQUIRE(three.size() == 3);
  CHECK(three[0].positions(9) == Positions{0, 1});
  CHECK(three[1].positions(9) == Positions{7, 8});
  CHECK(three[2].positions(9) == Positions{0, 5, 6});  // token 0 has a second edit

  const auto mixed = parse_positions("f2=4+l1=0,3:5", false);
  REQUIRE(mixed.size() == 2);
  CHECK(mixed[0].positions(9) == Positions{0, 1, 4});
  CHECK(mixed[1].positions(9) == Positions{0, 3, 4, 8});
  CHECK(group("f2=4+l1=0,3:5").positions(9) == Positions{0, 1, 3, 4, 8});  // tied: all of them
}

TEST_CASE("an end may have the whole prompt where the other end is not named, whatever else is") {
  CHECK(group("f5+0", false).positions(4) == Positions{0, 1, 2, 3});
  CHECK(group("f5+l5+0", false).positions(4) == Positions{0, 1});
}

TEST_CASE("each group has a name of its own, which does not depend on how many tokens it names") {
  const auto sides = [](std::string_view text, bool tied = false) {
    std::vector<std::string> all;
    for (const auto& g : parse_positions(text, tied)) all.push_back(g.side);
    return all;
  };
  using Sides = std::vector<std::string>;
  CHECK(sides("f5+l5") == Sides{"f", "l"});
  CHECK(sides("f1+l9") == Sides{"f", "l"});
  CHECK(sides("l5+f5") == Sides{"l", "f"});
  CHECK(sides("f2+l2+0,5,-3") == Sides{"f", "l", "g3"});
  CHECK(sides("0+1+2:4") == Sides{"t", "g2", "g3"});
  CHECK(sides("f5=l5+0+everywhere") == Sides{"t", "g2", "g3"});
  CHECK(sides("f5=0+l5") == Sides{"t", "l"});
  CHECK(sides("0+f5") == Sides{"t", "f"});
  CHECK(sides("everywhere") == Sides{"t"});
  CHECK(sides("f2+l2+0,5,-3", true) == Sides{"t"});
}

TEST_CASE("everywhere is every token of the prompt, and generated ones; other groups have none of these") {
  CHECK(group("everywhere").generated);
  CHECK(group("everywhere").positions(3) == Positions{0, 1, 2});
  CHECK(group("f1=everywhere", false).generated);
  CHECK(group("f1=everywhere", false).positions(3) == Positions{0, 1, 2});
  CHECK_FALSE(group("f1+everywhere", false, 0).generated);
  CHECK(group("f1+everywhere", false, 1).generated);
  for (const auto* text : {"all", "f5+l5", "0,3,-1", "2:"}) CHECK_FALSE(group(text).generated);
}

TEST_CASE("a span has its begin and not its end; either may be left out or count from the end of the prompt") {
  CHECK(group("2:6").positions(9) == Positions{2, 3, 4, 5});
  CHECK(group("-4:").positions(9) == Positions{5, 6, 7, 8});
  CHECK(group(":3").positions(9) == Positions{0, 1, 2});
  CHECK(group("2:-2").positions(6) == Positions{2, 3});
  CHECK(group("-3:-1").positions(6) == Positions{3, 4});
  CHECK(group("-2:3").positions(4) == Positions{2});
  CHECK(group("0:9").positions(9).size() == 9);
  CHECK(group("0,2:4,3,-1").positions(6) == Positions{0, 2, 3, 5});  // each token once
}

TEST_CASE("a span that is empty, or outside a prompt, is an error") {
  for (const auto* text : {"3:3", "5:2", "-1:-3", ":0", "f2+4:4"}) {
    CAPTURE(text);
    CHECK(contains(parse_error(text), "is empty"));
  }
  const auto at = [](std::string_view text, std::int64_t length) {
    return error_text([&] { return group(text).positions(length); });
  };
  CHECK(contains(at("2:6", 5), "span 2:6 lies outside a prompt of 5 tokens"));
  CHECK(contains(at("-4:", 3), "span -4: lies outside a prompt of 3 tokens"));
  CHECK(contains(at(":3", 2), "span 0:3 lies outside a prompt of 2 tokens"));
  CHECK(contains(at("2:-2", 4), "span 2:-2 is empty in a prompt of 4 tokens"));
  CHECK(contains(at("3:", 3), "span 3: is empty in a prompt of 3 tokens"));
  CHECK(at("2:6", 6).empty());
}

TEST_CASE("a step of decoding has one token of each sequence") {
  const auto rows = csreft::generated_rows(Positions{0, 2, 3});
  CHECK(numbers(rows.index.entries()) == Positions{0, 1, 2});
  CHECK(numbers(rows.example.entries()) == Positions{0, 2, 3});
  CHECK(csreft::generated_rows({}).index.size() == 0);
}

TEST_CASE("the help of positions names every form that is understood") {
  const std::string help(csreft::positions_help());
  for (const auto* form : {"fN", "lN", "all", "everywhere", "0,3,-1,2:6", "+", "="}) CHECK(contains(help, form));
}

TEST_CASE("rows of a packed batch: each prompt's positions from where it starts, with its example") {
  // Prompts of 5 and 4 tokens, with 3 response tokens between them.
  const auto rows = csreft::edit_rows(group("f2+l1"), {.starts = {0, 8}, .lengths = {5, 4}});
  CHECK(numbers(rows.index.entries()) == Positions{0, 1, 4, 8, 9, 11});
  CHECK(numbers(rows.example.entries()) == Positions{0, 0, 0, 1, 1, 1});
}

TEST_CASE("a prompt that is edited nowhere is an error") {
  const auto rows = [](std::string_view text, std::vector<std::int32_t> lengths) {
    return error_text([&] { return csreft::edit_rows(group(text), {.starts = {0, 9}, .lengths = lengths}); });
  };
  CHECK(rows("f5+l5", {2, 2}).empty());
  CHECK(contains(rows("f5+l5", {2, 1}), "the edit attaches nowhere: a prompt of 1 token(s)"));
  CHECK(contains(rows("all", {3, 0}), "the edit attaches nowhere"));
}

TEST_CASE("prompts that fill a batch lie end to end") {
  const std::vector<std::vector<std::int32_t>> sequences{{4, 5, 6}, {7}, {8, 9}};
  const auto spans = csreft::whole_prompts(csreft::pack_tokens(sequences));
  CHECK(spans.starts == std::vector<std::int32_t>{0, 3, 4});
  CHECK(spans.lengths == std::vector<std::int32_t>{3, 1, 2});
}
