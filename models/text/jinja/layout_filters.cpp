// Filters that lay texts out, or write them for web pages and addresses.
#include <algorithm>
#include <charconv>

#include "core/base/error.h"
#include "models/text/jinja/builtins.h"
#include "models/text/jinja/text.h"

namespace csreft::jinja {
namespace {

Value indent(Run& run, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "indent", {"width", "first", "blank"});
  require(value.is_text(), "indent is of a '{}': expected a text", type_name(value));
  const std::int64_t width =
      given[0] && given[0]->is_text() ? 0 : std::clamp<std::int64_t>(integer_or(given[0], 4), 0, 1 << 20);
  const std::string margin =
      given[0] && given[0]->is_text() ? given[0]->text() : std::string(static_cast<std::size_t>(width), ' ');
  const bool first = given[1] && is_true(*given[1]), blank = given[2] && is_true(*given[2]);
  const std::string whole = value.text() + "\n";
  std::string out;
  std::size_t begin = 0;
  for (std::size_t end = whole.find('\n'); end != whole.npos; end = whole.find('\n', begin)) {
    const auto line = std::string_view(whole).substr(begin, end - begin);
    run.charge_made(margin.size() + line.size());
    if (begin > 0) out += '\n';
    if ((begin == 0 && first) || (begin > 0 && (blank || !line.empty()))) out += margin;
    out += line;
    begin = end + 1;
  }
  return text(std::move(out));
}

Value center(Run& run, const Value& value, const Arguments& arguments) {
  const Value width = bind(arguments, "center", {"width"})[0].value_or(std::int64_t{80});
  Arguments method{{width}, {}};
  return run.call(*find_method(text(to_text(value)), "center"), method);
}

// To `length` characters, `end` among them, at the end of a word; a text that is longer by `leeway` stays.
Value truncate(Run& run, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "truncate", {"length", "killwords", "end", "leeway"});
  const std::int64_t most = integer_or(given[0], 255);
  const std::string end = text_or(given[2], "...");
  const auto n_end = static_cast<std::int64_t>(count_characters(end));
  const std::int64_t leeway = given[3] && !given[3]->is<None>() ? integer_or(given[3], 0) : 5;
  require(most >= n_end, "truncate is to {} characters: expected {} at least, for its end", most, n_end);
  require(leeway >= 0, "truncate has a leeway of {}: expected zero or more", leeway);
  const auto n = static_cast<std::int64_t>(length(value));
  if (n <= most || n - most <= leeway) return value;
  require(value.is_text(), "truncate is of a '{}': expected a text", type_name(value));
  const auto all = characters(value.text());
  std::string kept;
  for (std::size_t i = 0; i < static_cast<std::size_t>(most - n_end); ++i) kept += all[i];
  const bool cuts_words = given[1] && is_true(*given[1]);
  return run.made((cuts_words ? kept : kept.substr(0, kept.rfind(' '))) + end);
}

// Each byte but letters, digits and what `also` has as a percent sign and two digits.
std::string percent_encoded(std::string_view text, std::string_view also) {
  std::string out;
  for (const char c : text) {
    const bool is_kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (is_kept || also.find(c) != also.npos) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Value url_encode(Run& run, const Value& value, const Arguments& arguments) {
  bind(arguments, "urlencode", {});
  if (value.is_text() || !is_iterable(value)) return run.made(percent_encoded(to_text(value), "_.-~/"));
  std::vector<Value> pairs = iterate(value);
  if (value.is_dict()) {
    for (auto& key : pairs) key = sequence({key, *find(value.dict(), key)}, Sequence::Kind::tuple);
  }
  std::string out;
  const auto encoded = [&](const Value& part) {
    run.charge_made(weight(part));
    return replaced(run, percent_encoded(to_text(part), "_.-~"), "%20", "+", -1);
  };
  for (const auto& pair : pairs) {
    const auto two = iterate(pair);
    require(two.size() == 2, "urlencode meets {} values: expected pairs", two.size());
    out += (out.empty() ? "" : "&") + encoded(two[0]) + "=" + encoded(two[1]);
  }
  return run.made(std::move(out));
}

// Without tags and comments, up to one that does not end.
std::string without_tags(std::string_view text) {
  std::string out;
  for (std::size_t at = text.find('<'); at != text.npos; at = text.find('<')) {
    const bool is_comment = text.substr(at).starts_with("<!--");
    const std::size_t end = is_comment ? text.find("-->", at + 4) : text.find('>', at);
    if (end == text.npos) break;
    out += text.substr(0, at);
    text.remove_prefix(end + (is_comment ? 3 : 1));
  }
  return out + std::string(text);
}

// The character of "amp", "#38" or "#x26"; nothing for others.
std::optional<std::string> entity(std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> known[] = {{"amp", "&"},   {"lt", "<"},   {"gt", ">"},
                                                                     {"quot", "\""}, {"apos", "'"}, {"nbsp", "\u00a0"}};
  for (const auto& [written, character] : known) {
    if (name == written) return std::string(character);
  }
  if (!name.starts_with('#')) return std::nullopt;
  const bool is_hex = name.substr(1).starts_with('x') || name.substr(1).starts_with('X');
  const auto digits = name.substr(is_hex ? 2 : 1);
  std::uint32_t code = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, is_hex ? 16 : 10);
  const bool is_character = code >= 0xA0 || (code >= 0x20 && code < 0x7F);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || !is_character ||
      code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
    return std::nullopt;
  }
  std::string out;
  append_utf8(out, code);
  return out;
}

Value strip_tags(Run& run, const Value& value, const Arguments& arguments) {
  bind(arguments, "striptags", {});
  const std::string plain = without_tags(to_text(value));
  std::string words;
  for (const auto character : characters(plain)) {
    const bool is_gap = is_space(code_point(character));
    if (!is_gap) words += character;
    if (is_gap && !words.empty() && words.back() != ' ') words += ' ';
  }
  if (words.ends_with(' ')) words.pop_back();
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::size_t end = words[i] == '&' ? words.find(';', i) : words.npos;
    const auto found = end == words.npos ? std::nullopt : entity(std::string_view(words).substr(i + 1, end - i - 1));
    out += found.value_or(words.substr(i, 1));
    if (found) i = end;
  }
  return run.made(std::move(out));
}

constexpr NamedFilter layout_filter_table[] = {
    {"indent", indent},        {"center", center},        {"truncate", truncate},
    {"urlencode", url_encode}, {"striptags", strip_tags},
};

}  // namespace

std::span<const NamedFilter> layout_filters() { return layout_filter_table; }

}  // namespace csreft::jinja
