#include "reft/positions.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "core/base/split.h"
#include "core/base/whole_number.h"

namespace csreft {
namespace {

constexpr std::string_view expected =
    "expected groups joined by + or =, each of them f5, l5, all, everywhere, or a list such as 0,3,-1,2:6";

[[noreturn]] void not_understood(std::string_view text) {
  fail("positions '{}' are not understood: {}", text, expected);
}

std::int64_t parse_integer(std::string_view digits, std::string_view text) {
  const auto value = parse_whole_number<std::int64_t>(digits);
  if (!value) not_understood(text);
  return *value;
}

// "2:6", "-4:" or ":3". A span whose ends count from the same side is known to be empty without a prompt.
PositionSpan parse_span(std::string_view item, std::string_view text) {
  const std::size_t colon = item.find(':');
  const std::string_view begin = item.substr(0, colon), end = item.substr(colon + 1);
  if (begin.empty() && end.empty()) not_understood(text);
  PositionSpan span{.begin = begin.empty() ? 0 : parse_integer(begin, text), .end = {}};
  if (!end.empty()) span.end = parse_integer(end, text);
  require(!span.end || (span.begin < 0) != (*span.end < 0) || span.begin < *span.end,
          "positions '{}' edit nothing: span {} is empty, expected an end behind its begin, as in 2:6", text, item);
  return span;
}

// Adds what one group of the text, without + and =, names.
void add_positions(PositionGroup& group, std::string_view part, std::string_view text) {
  if (part == "all" || part == "everywhere") {
    group.all = true;
    group.generated = group.generated || part == "everywhere";
  } else if (part.starts_with('f') || part.starts_with('l')) {
    std::int64_t& n = part[0] == 'f' ? group.first : group.last;
    require(n == 0, "positions '{}' name the same end twice: {}", text, expected);
    n = parse_integer(part.substr(1), text);
    require(n > 0, "positions '{}' edit nothing: {}", text, expected);
  } else {
    for (const auto item : split(part, ",")) {
      if (item.find(':') == std::string_view::npos) {
        group.fixed.push_back(parse_integer(item, text));
      } else {
        group.spans.push_back(parse_span(item, text));
      }
    }
  }
}

// "f" or "l" for one end that is tied to nothing, "t" for another first group, "g2" and so on for later ones.
std::string side_of(const PositionGroup& group, std::size_t i, bool tied) {
  const bool others = group.all || !group.fixed.empty() || !group.spans.empty();
  if (!tied && !others && group.last == 0) return "f";
  if (!tied && !others && group.first == 0) return "l";
  return i == 0 ? "t" : fmt::format("g{}", i + 1);
}

// A token's index in a prompt.
std::int64_t from_start(std::int64_t position, std::int64_t length) {
  return position < 0 ? length + position : position;
}

void add_span(const PositionSpan& span, std::int64_t length, std::set<std::int64_t>& chosen) {
  const std::int64_t begin = from_start(span.begin, length), end = from_start(span.end.value_or(length), length);
  const std::string name = fmt::format("{}:{}", span.begin, span.end ? fmt::format("{}", *span.end) : "");
  require(0 <= begin && begin <= length && 0 <= end && end <= length,
          "span {} lies outside a prompt of {} tokens: expected ends from {} to {}", name, length, -length, length);
  require(begin < end, "span {} is empty in a prompt of {} tokens: expected an end behind its begin", name, length);
  for (std::int64_t i = begin; i < end; ++i) chosen.insert(i);
}

}  // namespace

PromptSpans whole_prompts(const TokenBatch& prompts) {
  const auto offsets = prompts.layout.q_offsets.span<std::int32_t>();
  PromptSpans spans;
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    spans.starts.push_back(offsets[s]);
    spans.lengths.push_back(offsets[s + 1] - offsets[s]);
  }
  return spans;
}

std::vector<std::int32_t> PositionGroup::positions(std::int64_t length) const {
  if (all) {
    std::vector<std::int32_t> whole(static_cast<std::size_t>(length));
    std::iota(whole.begin(), whole.end(), 0);
    return whole;
  }
  std::set<std::int64_t> chosen;
  const std::int64_t limit = halved ? length / 2 : length;
  for (std::int64_t i = 0; i < std::min(first, limit); ++i) chosen.insert(i);
  for (std::int64_t i = 0; i < std::min(last, limit); ++i) chosen.insert(length - 1 - i);
  for (const std::int64_t p : fixed) {
    require(-length <= p && p < length, "position {} lies outside a prompt of {} tokens: expected {} to {}", p, length,
            -length, length - 1);
    chosen.insert(from_start(p, length));
  }
  for (const PositionSpan& span : spans) add_span(span, length, chosen);
  return {chosen.begin(), chosen.end()};
}

std::vector<PositionGroup> parse_positions(std::string_view text, bool tied) {
  require(!text.empty(), "no positions given: {}", expected);
  std::vector<PositionGroup> groups(1);
  std::int64_t fs = 0, ls = 0;
  for (const auto part : split(text, "+=")) {
    if (part.data() != text.data() && *(part.data() - 1) == '+' && !tied) groups.emplace_back();
    add_positions(groups.back(), part, text);
  }
  for (const PositionGroup& group : groups) {
    fs += group.first > 0 ? 1 : 0;
    ls += group.last > 0 ? 1 : 0;
  }
  require(fs <= 1 && ls <= 1, "positions '{}' name the same end twice: {}", text, expected);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i].halved = fs + ls == 2 && groups[i].first + groups[i].last > 0;
    groups[i].side = side_of(groups[i], i, tied);
  }
  return groups;
}

std::string_view positions_help() {
  return "edited tokens: fN, lN (first and last N of the prompt), all, everywhere (generated tokens, too), or a list "
         "0,3,-1,2:6; groups joined by + have parameters of their own, by = one set";
}

EditRows edit_rows(const PositionGroup& group, const PromptSpans& prompts) {
  std::vector<std::int32_t> index, example;
  for (std::size_t e = 0; e < prompts.starts.size(); ++e) {
    const auto positions = group.positions(prompts.lengths[e]);
    require(!positions.empty(),
            "the edit attaches nowhere: a prompt of {} token(s) has none of the positions; expected longer prompts, or "
            "other "
            "--positions",
            prompts.lengths[e]);
    for (const auto p : positions) {
      index.push_back(prompts.starts[e] + p);
      example.push_back(static_cast<std::int32_t>(e));
    }
    const std::int32_t response = group.generated ? prompts.starts[e] + prompts.lengths[e] : prompts.end(e);
    for (std::int32_t row = response; row < prompts.end(e); ++row) {
      index.push_back(row);
      example.push_back(static_cast<std::int32_t>(e));
    }
  }
  return {index_tensor(index), index_tensor(example)};
}

std::int64_t count_edit_rows(const PositionGroup& group, const PromptSpans& prompts) {
  return prompts.starts.empty() ? 0 : edit_rows(group, prompts).index.size();
}

EditRows generated_rows(std::span<const std::int32_t> examples) {
  std::vector<std::int32_t> rows(examples.size());
  std::iota(rows.begin(), rows.end(), 0);
  return {index_tensor(rows), index_tensor(examples)};
}

}  // namespace csreft
