#include "reft/positions.h"

#include <algorithm>
#include <set>

#include "core/base/whole_number.h"

namespace csreft {
namespace {

constexpr std::string_view expected = "expected f5+l5, f5, l5, all, or a list such as 0,3,-1";

std::int64_t parse_integer(std::string_view digits, std::string_view text) {
  const auto value = parse_whole_number<std::int64_t>(digits);
  require(value.has_value(), "positions '{}' are not understood: {}", text, expected);
  return *value;
}

// "f5" or "l5".
PositionGroup parse_end(std::string_view part, std::string_view text) {
  require(part.size() >= 2 && (part[0] == 'f' || part[0] == 'l'), "positions '{}' are not understood: {}", text,
          expected);
  const std::int64_t n = parse_integer(part.substr(1), text);
  require(n > 0, "positions '{}' edit nothing: {}", text, expected);
  PositionGroup group{.side = std::string(part.substr(0, 1))};
  (part[0] == 'f' ? group.first : group.last) = n;
  return group;
}

PositionGroup parse_list(std::string_view text) {
  PositionGroup group{.side = "t"};
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    group.fixed.push_back(parse_integer(text.substr(begin, comma - begin), text));
    begin = comma + 1;
  }
  return group;
}

std::vector<PositionGroup> parse_ends(std::string_view text, bool tied) {
  const std::size_t plus = text.find('+');
  PositionGroup a = parse_end(text.substr(0, plus), text);
  if (plus == std::string_view::npos) {
    if (tied) a.side = std::string("t");
    return {a};
  }
  PositionGroup b = parse_end(text.substr(plus + 1), text);
  require(a.side != b.side, "positions '{}' name the same end twice: {}", text, expected);
  a.halved = b.halved = true;
  if (!tied) return {a, b};
  return {{.side = "t", .first = a.first + b.first, .last = a.last + b.last, .halved = true}};
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
  std::set<std::int64_t> chosen;
  const std::int64_t limit = halved ? length / 2 : length;
  for (std::int64_t i = 0; i < (all ? length : std::min(first, limit)); ++i) chosen.insert(i);
  for (std::int64_t i = 0; i < std::min(last, limit); ++i) chosen.insert(length - 1 - i);
  for (const std::int64_t p : fixed) {
    require(-length <= p && p < length, "position {} lies outside a prompt of {} tokens", p, length);
    chosen.insert(p < 0 ? length + p : p);
  }
  return {chosen.begin(), chosen.end()};
}

std::vector<PositionGroup> parse_positions(std::string_view text, bool tied) {
  require(!text.empty(), "no positions given: {}", expected);
  if (text == "all") return {{.side = "t", .all = true}};
  if (text[0] == 'f' || text[0] == 'l') return parse_ends(text, tied);
  return {parse_list(text)};
}

EditRows edit_rows(const PositionGroup& group, const PromptSpans& prompts) {
  std::vector<std::int32_t> index, example;
  for (std::size_t e = 0; e < prompts.starts.size(); ++e) {
    const auto positions = group.positions(prompts.lengths[e]);
    require(!positions.empty(),
            "the edit attaches nowhere: a prompt of {} token(s) has no position of the kind asked for",
            prompts.lengths[e]);
    for (const auto p : positions) {
      index.push_back(prompts.starts[e] + p);
      example.push_back(static_cast<std::int32_t>(e));
    }
  }
  return {index_tensor(index), index_tensor(example)};
}

}  // namespace csreft
