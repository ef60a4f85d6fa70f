// Values as JSON, and Python's `format % values`.
#include "models/text/jinja/format.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "models/text/jinja/text.h"
#include "models/text/tokenizer.h"

namespace csreft::jinja {
namespace {

std::string json_text(std::string_view text, bool ensure_ascii) {
  std::string out = "\"";
  for (const auto character : characters(text)) {
    const char32_t c = code_point(character);
    constexpr std::string_view special = "\"\\\n\r\t\b\f", letters = "\"\\nrtbf";
    const auto known = c < 0x80 ? special.find(static_cast<char>(c)) : special.npos;
    if (known != special.npos) {
      out += {'\\', letters[known]};
    } else if (c < 0x20 || (ensure_ascii && c >= 0x7F && c < 0x10000 && c != 0x7F)) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else if (ensure_ascii && c >= 0x10000) {
      const auto rest = static_cast<unsigned>(c - 0x10000);
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
    } else {
      out += character;
    }
  }
  return out + '"';
}

std::string json_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return number_text(value);
}

std::string json_scalar(const Value& value) {
  if (value.is<None>()) return "null";
  if (value.is<bool>()) return value.as<bool>() ? "true" : "false";
  if (value.is<double>()) return json_number(value.as<double>());
  require(value.is<std::int64_t>(), "a '{}' is not JSON: expected a text, a number, a list or a dict",
          type_name(value));
  return to_text(value);
}

class JsonWriter {
 public:
  JsonWriter(Run& run, const JsonStyle& style) : run_(run), style_(style) {}

  std::string write(const Value& value) {
    add(value);
    return std::move(out_);
  }

 private:
  void add(const Value& value) {
    if (value.is_text()) return put(json_text(value.text(), style_.ensure_ascii));
    if (value.is_dict()) return add_dict(value.dict());
    using enum Sequence::Kind;
    if (value.is_sequence() && (value.sequence().kind == list || value.sequence().kind == tuple)) {
      return add_list(value.sequence().items);
    }
    put(json_scalar(value));
  }

  void put(std::string_view text) {
    run_.charge_made(text.size());
    out_ += text;
  }

  void break_line() {
    if (!style_.indent) return;
    put("\n");
    for (int i = 0; i < level_; ++i) put(*style_.indent);
  }

  // Members one by one, each by `add_member`.
  template <typename Members, typename AddMember>
  void add_members(const Members& members, char open, char close, AddMember add_member) {
    put(std::string(1, open));
    ++level_;
    bool is_first = true;
    for (const auto& member : members) {
      if (!is_first) put(style_.item_separator);
      is_first = false;
      break_line();
      add_member(member);
    }
    --level_;
    if (!members.empty()) break_line();
    put(std::string(1, close));
  }

  void add_list(const std::vector<Value>& items) {
    add_members(items, '[', ']', [this](const Value& item) { add(item); });
  }

  void add_dict(const Dict& dict) {
    auto entries = dict.entries;
    if (style_.sort_keys) {
      std::ranges::stable_sort(entries, [](const auto& a, const auto& b) { return compare(a.first, b.first) < 0; });
    }
    add_members(entries, '{', '}', [this](const auto& entry) {
      const auto& [key, value] = entry;
      put(json_text(key.is_text() ? key.text() : json_scalar(key), style_.ensure_ascii));
      put(style_.key_separator);
      add(value);
    });
  }

  Run& run_;
  const JsonStyle& style_;
  std::string out_;
  int level_ = 0;
};

// A conversion of `%`: "-08.3f".
struct Conversion {
  std::string flags;
  std::size_t width = 0;
  std::optional<std::size_t> precision;
  char type = 's';
};

std::size_t read_size(std::string_view format, std::size_t& at) {
  std::size_t n = 0;
  for (; at < format.size() && is_digit(static_cast<unsigned char>(format[at])); ++at) {
    n = std::min<std::size_t>(n * 10 + static_cast<std::size_t>(format[at] - '0'), 1 << 20);
  }
  return n;
}

std::string converted(const Conversion& conversion, const Value& value) {
  std::string shown;
  const char type = conversion.type;
  if (type == 's' || type == 'r') {
    shown = type == 's' ? to_text(value) : to_repr(value);
    if (conversion.precision) {
      std::string cut;
      for (const auto character : characters(shown)) {
        if (count_characters(cut) == *conversion.precision) break;
        cut += character;
      }
      shown = cut;
    }
    return shown;
  }
  const auto number = as_number(value);
  require(number.has_value(), "%{} is of a '{}': expected a number", type, type_name(value));
  if (type == 'f' || type == 'e' || type == 'g') {
    const int precision = static_cast<int>(std::min<std::size_t>(conversion.precision.value_or(6), 300));
    shown = type == 'f'   ? fmt::format("{:.{}f}", *number, precision)
            : type == 'e' ? fmt::format("{:.{}e}", *number, precision)
                          : fmt::format("{:.{}g}", *number, precision);
  } else {
    require(std::abs(*number) < 9.2e18, "%d is of a number beyond 64 bits: expected a smaller one");
    const std::int64_t whole = as_integer(value).value_or(static_cast<std::int64_t>(*number));
    shown = type == 'x' ? fmt::format("{:x}", whole) : fmt::format("{}", whole);
  }
  if (conversion.flags.find('+') != std::string::npos && !shown.starts_with('-')) shown = "+" + shown;
  return shown;
}

std::string padded(const Conversion& conversion, std::string shown) {
  const std::size_t n = count_characters(shown);
  if (n >= conversion.width) return shown;
  const std::size_t missing = conversion.width - n;
  if (conversion.flags.find('-') != std::string::npos) return shown + std::string(missing, ' ');
  const bool with_zeros =
      conversion.flags.find('0') != std::string::npos && conversion.type != 's' && conversion.type != 'r';
  if (!with_zeros) return std::string(missing, ' ') + shown;
  const bool has_sign = shown.starts_with('-') || shown.starts_with('+');
  return shown.insert(has_sign ? 1 : 0, missing, '0');
}

}  // namespace

std::string to_json(Run& run, const Value& value, const JsonStyle& style) {
  return JsonWriter(run, style).write(value);
}

std::string format_percent(Run& run, const std::string& format, const Value& values) {
  const bool is_tuple = values.is_sequence() && values.sequence().kind == Sequence::Kind::tuple;
  const std::vector<Value> all = is_tuple ? values.sequence().items : std::vector<Value>{values};
  std::string out;
  std::size_t next = 0;
  for (std::size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') {
      out += format[at];
      continue;
    }
    Conversion conversion;
    for (++at; at < format.size() && std::string_view("-+0 #").find(format[at]) != std::string_view::npos; ++at) {
      conversion.flags += format[at];
    }
    conversion.width = read_size(format, at);
    if (at < format.size() && format[at] == '.') conversion.precision = read_size(format, ++at);
    conversion.type = at < format.size() ? format[at] : ' ';
    if (conversion.type == '%') {
      out += '%';
      continue;
    }
    if (conversion.type == 'i' || conversion.type == 'u') conversion.type = 'd';
    require(std::string_view("srdfegx").find(conversion.type) != std::string_view::npos,
            "the conversion '%{}' is not supported: expected one such as %s or %d",
            printable(std::string_view(&conversion.type, 1)));
    require(next < all.size(), "a format has more conversions than its {} values: expected as many", all.size());
    run.charge_made(weight(all[next]) + conversion.width);
    out += padded(conversion, converted(conversion, all[next++]));
  }
  require(next == all.size() || (!is_tuple && values.is_dict()),
          "a format has fewer conversions than its {} values: expected as many", all.size());
  return out;
}

}  // namespace csreft::jinja
