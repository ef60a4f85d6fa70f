// Filters of texts and numbers.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/base/error.h"
#include "models/text/jinja/builtins.h"
#include "models/text/jinja/format.h"
#include "models/text/jinja/text.h"

namespace csreft::jinja {
namespace {

Value trim(Run& run, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "trim", {"chars"});
  const std::string whole = to_text(value);
  if (!given[0] || given[0]->is<None>()) return run.made(std::string(strip(whole, nullptr, true, true)));
  const std::string chars = text_or(given[0], "");
  run.charge(whole.size() * chars.size());
  return run.made(std::string(strip(whole, &chars, true, true)));
}

template <std::string (*change)(std::string_view)>
Value changed(Run& run, const Value& value, const Arguments& arguments) {
  bind(arguments, "a filter of a text's case", {});
  return run.made(change(to_text(value)));
}

// Words begin behind spaces, hyphens and opening brackets.
std::string title_of_words(std::string_view text) {
  std::string out, word;
  const auto add_word = [&] {
    const std::size_t first = word.empty() ? 0 : characters(word).front().size();
    out += upper(std::string_view(word).substr(0, first)) + lower(std::string_view(word).substr(first));
    word.clear();
  };
  for (const auto character : characters(text)) {
    const char32_t c = code_point(character);
    if (is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<') {
      add_word();
      out += character;
    } else {
      word += character;
    }
  }
  add_word();
  return out;
}

Value string(Run& run, const Value& value, const Arguments&) {
  return value.is_text() ? value : run.made(to_text(value));
}

Value safe(Run& run, const Value& value, const Arguments& arguments) { return string(run, value, arguments); }

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '\'': out += "&#39;"; break;
      case '"': out += "&#34;"; break;
      default: out += c;
    }
  }
  return out;
}

Value replace(Run& run, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "replace", {"old", "new", "count"});
  require(given[0] && given[1], "replace has fewer than two arguments: expected two texts");
  const std::int64_t most = given[2] && !given[2]->is<None>() ? integer_or(given[2], -1) : -1;
  return run.made(replaced(run, to_text(value), to_text(*given[0]), to_text(*given[1]), most));
}

std::int64_t whole_of(double number) {
  require(std::abs(number) < 9.2e18, "a whole number is beyond 64 bits: expected a smaller one");
  return static_cast<std::int64_t>(number);
}

Value to_integer(Run&, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "int", {"default", "base"});
  const Value fallback = given[0].value_or(std::int64_t{0});
  if (const auto whole = as_integer(value)) return *whole;
  if (value.is<double>()) {
    const double number = value.as<double>();
    return std::isfinite(number) ? Value(whole_of(number)) : fallback;
  }
  if (value.is<Undefined>()) fail("{}", *value.as<Undefined>().why);
  if (!value.is_text()) return fallback;
  std::string written;
  for (const char c : strip(value.text(), nullptr, true, true)) {
    if (c != '_') written += c;
  }
  const std::int64_t base = integer_or(given[1], 10);
  require(base >= 2 && base <= 36, "int has the base {}: expected 2 to 36", base);
  std::string_view digits = written;
  const bool is_negative = digits.starts_with('-');
  if (is_negative || digits.starts_with('+')) digits.remove_prefix(1);
  const auto starts = [&](char mark) { return digits.size() > 2 && digits[0] == '0' && (digits[1] | 32) == mark; };
  if ((base == 16 && starts('x')) || (base == 8 && starts('o')) || (base == 2 && starts('b'))) digits.remove_prefix(2);
  std::int64_t whole = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), whole, static_cast<int>(base));
  const bool is_whole = error == std::errc() && end == digits.data() + digits.size() && !digits.starts_with('-');
  if (is_whole) return is_negative ? -whole : whole;
  double number = 0.0;
  const auto [last, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool is_number = failed == std::errc() && last == digits.data() + digits.size() && !digits.starts_with('-');
  if (!is_number || !std::isfinite(number)) return fallback;
  return whole_of(is_negative ? -number : number);
}

Value to_float(Run&, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "float", {"default"});
  const Value fallback = given[0].value_or(0.0);
  if (const auto number = as_number(value)) return *number;
  if (value.is<Undefined>()) fail("{}", *value.as<Undefined>().why);
  if (!value.is_text()) return fallback;
  std::string_view written = strip(value.text(), nullptr, true, true);
  const bool has_plus = written.starts_with('+') && !written.substr(1).starts_with('-');
  if (has_plus) written.remove_prefix(1);
  double number = 0.0;
  const auto [end, error] = std::from_chars(written.data(), written.data() + written.size(), number);
  return error == std::errc() && end == written.data() + written.size() ? Value(number) : fallback;
}

Value absolute(Run&, const Value& value, const Arguments&) {
  if (const auto whole = as_integer(value)) {
    require(*whole != INT64_MIN, "a whole number is beyond 64 bits: expected a smaller one");
    return std::abs(*whole);
  }
  require(value.is<double>(), "abs is of a '{}': expected a number", type_name(value));
  return std::abs(value.as<double>());
}

// As Python's round, and as its ceil and floor of a shifted number.
Value rounded(Run&, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "round", {"precision", "method"});
  const std::int64_t precision = integer_or(given[0], 0);
  const std::string method = text_or(given[1], "common");
  require(method == "common" || method == "ceil" || method == "floor",
          "round has the method '{}': expected common, ceil or floor", method);
  const auto number = as_number(value);
  require(number.has_value(), "round is of a '{}': expected a number", type_name(value));
  require(std::abs(precision) <= 300, "round has a precision of {}: expected -300 to 300", precision);
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "ceil") return std::ceil(*number * scale) / scale;
  if (method == "floor") return std::floor(*number * scale) / scale;
  if (as_integer(value) && precision >= 0) return *as_integer(value);
  if (precision >= 0) return std::stod(fmt::format("{:.{}f}", *number, precision));
  const double shifted = std::nearbyint(*number * scale) / scale;
  return as_integer(value) ? Value(static_cast<std::int64_t>(shifted)) : Value(shifted);
}

Value tojson(Run& run, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "tojson", {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = given[0] && is_true(*given[0]);
  style.sort_keys = given[3] && is_true(*given[3]);
  if (given[1] && !given[1]->is<None>()) {
    const bool is_text = given[1]->is_text();
    const auto width = is_text ? 0 : std::clamp<std::int64_t>(integer_or(given[1], 0), 0, 1 << 10);
    style.indent = is_text ? given[1]->text() : std::string(static_cast<std::size_t>(width), ' ');
    style.item_separator = ",";
  }
  if (given[2] && !given[2]->is<None>()) {
    const auto two = iterate(*given[2]);
    require(two.size() == 2, "tojson has {} separators: expected two", two.size());
    style.item_separator = text_or(two[0], "");
    style.key_separator = text_or(two[1], "");
  }
  return run.made(to_json(run, value, style));
}

Value format(Run& run, const Value& value, const Arguments& arguments) {
  const Value values = run.made(arguments.positional, Sequence::Kind::tuple);
  return run.made(format_percent(run, to_text(value), values));
}

Value word_count(Run&, const Value& value, const Arguments&) {
  std::size_t n = 0;
  bool in_word = false;
  const std::string whole = to_text(value);
  for (const auto character : characters(whole)) {
    const char32_t c = code_point(character);
    const bool is_word = is_letter(c) || is_digit(c) || c == '_';
    n += is_word && !in_word ? 1U : 0U;
    in_word = is_word;
  }
  return integer(n);
}

constexpr NamedFilter text_filter_table[] = {
    {"trim", trim},
    {"upper", changed<upper>},
    {"lower", changed<lower>},
    {"title", changed<title_of_words>},
    {"capitalize", changed<capitalize>},
    {"string", string},
    {"safe", safe},
    {"escape", changed<escaped>},
    {"forceescape", changed<escaped>},
    {"e", changed<escaped>},
    {"replace", replace},
    {"int", to_integer},
    {"float", to_float},
    {"abs", absolute},
    {"round", rounded},
    {"tojson", tojson},
    {"format", format},
    {"wordcount", word_count},
};

}  // namespace

std::span<const NamedFilter> text_filters() { return text_filter_table; }

std::string replaced(Run& run, std::string_view whole, std::string_view old, std::string_view replacement,
                     std::int64_t most) {
  std::string out;
  std::int64_t n = 0;
  const auto may = [&] { return most < 0 || n < most; };
  if (old.empty()) {
    for (const auto character : characters(whole)) {
      if (may()) {
        run.charge_made(replacement.size());
        out += replacement;
        ++n;
      }
      out += character;
    }
    return may() ? out + std::string(replacement) : out;
  }
  std::size_t begin = 0;
  for (std::size_t at = whole.find(old); at != whole.npos && may(); at = whole.find(old, begin)) {
    run.charge_made(replacement.size());
    out += whole.substr(begin, at - begin);
    out += replacement;
    begin = at + old.size();
    ++n;
  }
  return out + std::string(whole.substr(begin));
}

}  // namespace csreft::jinja
