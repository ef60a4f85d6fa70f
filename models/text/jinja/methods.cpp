// The methods of texts, lists and dicts.
#include <algorithm>

#include "core/base/error.h"
#include "models/text/jinja/builtins.h"
#include "models/text/jinja/text.h"
#include "models/text/tokenizer.h"

namespace csreft::jinja {
namespace {

using Method = Value (*)(Run&, const Value&, const Arguments&);
struct NamedMethod {
  std::string_view name;
  Method call;
};

Value strip_ends(Run& run, const Value& self, const Arguments& arguments, bool left, bool right) {
  const auto given = bind(arguments, "strip", {"chars"});
  if (!given[0] || given[0]->is<None>()) return run.made(std::string(strip(self.text(), nullptr, left, right)));
  const std::string chars = text_or(given[0], "");
  run.charge(self.text().size() * chars.size());
  return run.made(std::string(strip(self.text(), &chars, left, right)));
}

// The parts between runs of spaces, after at most `most` cuts, as Python has them: what is left over keeps the spaces
// at its far end.
std::vector<std::string_view> split_spaces(std::string_view text, std::int64_t most, bool from_right) {
  auto all = characters(text);
  if (from_right) std::ranges::reverse(all);
  const auto is_space_at = [&](std::size_t i) { return is_space(code_point(all[i])); };
  const auto between = [&](std::size_t first,
                           std::size_t last) {  // of all[first] and all[last], whatever the direction
    const auto a = from_right ? all[last] : all[first], b = from_right ? all[first] : all[last];
    return std::string_view(a.data(), static_cast<std::size_t>(b.data() + b.size() - a.data()));
  };
  std::vector<std::string_view> parts;
  for (std::size_t i = 0; true;) {
    while (i < all.size() && is_space_at(i)) ++i;
    if (i == all.size()) break;
    if (most >= 0 && static_cast<std::int64_t>(parts.size()) == most) {
      parts.push_back(between(i, all.size() - 1));
      break;
    }
    const std::size_t begin = i;
    while (i < all.size() && !is_space_at(i)) ++i;
    parts.push_back(between(begin, i - 1));
  }
  if (from_right) std::ranges::reverse(parts);
  return parts;
}

std::vector<std::string_view> split_text(std::string_view text, std::string_view separator, std::int64_t most,
                                         bool from_right) {
  std::vector<std::string_view> parts;
  while (most < 0 || static_cast<std::int64_t>(parts.size()) < most) {
    const std::size_t at = from_right ? text.rfind(separator) : text.find(separator);
    if (at == text.npos) break;
    parts.push_back(from_right ? text.substr(at + separator.size()) : text.substr(0, at));
    text = from_right ? text.substr(0, at) : text.substr(at + separator.size());
  }
  parts.push_back(text);
  if (from_right) std::ranges::reverse(parts);
  return parts;
}

Value list_of(Run& run, const std::vector<std::string_view>& parts) {
  std::vector<Value> items;
  for (const auto part : parts) items.push_back(run.made(std::string(part)));
  return run.made(std::move(items));
}

Value split_method(Run& run, const Value& self, const Arguments& arguments, bool from_right) {
  const auto given = bind(arguments, "split", {"sep", "maxsplit"});
  const std::int64_t most = integer_or(given[1], -1);
  if (!given[0] || given[0]->is<None>()) return list_of(run, split_spaces(self.text(), most, from_right));
  const std::string separator = text_or(given[0], "");
  require(!separator.empty(), "split has an empty separator: expected a text");
  return list_of(run, split_text(self.text(), separator, most, from_right));
}

Value splitlines(Run& run, const Value& self, const Arguments& arguments) {
  const auto given = bind(arguments, "splitlines", {"keepends"});
  const bool keeps = given[0] && is_true(*given[0]);
  std::vector<std::string_view> lines;
  const std::string& text = self.text();
  const auto all = characters(text);
  std::size_t begin = 0, at = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const char32_t c = code_point(all[i]);
    std::size_t end = at + all[i].size();
    if ((c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029) {
      if (c == '\r' && i + 1 < all.size() && all[i + 1] == "\n") {
        ++i;
        ++end;
      }
      lines.push_back(std::string_view(text).substr(begin, (keeps ? end : at) - begin));
      begin = end;
    }
    at = end;
  }
  if (begin < text.size()) lines.push_back(std::string_view(text).substr(begin));
  return list_of(run, lines);
}

// What `arguments` name of a text: all, or the characters from start to end.
struct Part {
  std::string_view text;
  std::size_t start;  // in characters
  bool is_inside;     // the text reaches up to start
};

Part part_of(Run& run, const Value& self, const std::optional<Value>& start, const std::optional<Value>& end) {
  const auto bound = [](const std::optional<Value>& value, std::int64_t n, std::int64_t fallback) {
    if (!value || value->is<None>()) return fallback;
    const std::int64_t given = integer_or(value, 0);
    return std::max<std::int64_t>(given < 0 ? given + n : given, 0);
  };
  const std::string_view whole = self.text();
  if (!start && !end) return {whole, 0, true};
  const auto n = static_cast<std::int64_t>(count_characters(whole));
  const std::int64_t first = bound(start, n, 0), last = std::min(bound(end, n, n), n);
  if (first > n || first > last) return {{}, 0, false};
  run.charge(whole.size());
  const auto all = characters(whole);
  std::size_t begin = 0, size = 0;
  for (std::int64_t i = 0; i < last; ++i) (i < first ? begin : size) += all[static_cast<std::size_t>(i)].size();
  return {whole.substr(begin, size), static_cast<std::size_t>(first), true};
}

// startswith or endswith: a text or any of a tuple of them.
Value has_end(Run& run, const Value& self, const Arguments& arguments,
              bool (*matches)(std::string_view, std::string_view)) {
  const auto given = bind(arguments, "startswith", {"prefix", "start", "end"});
  require(given[0] && (given[0]->is_text() || given[0]->is_sequence()), "startswith needs a text or a tuple of texts");
  run.charge(weight(*given[0]));
  const Part part = part_of(run, self, given[1], given[2]);
  const auto is_end = [&](const Value& end) { return part.is_inside && matches(part.text, text_or(end, "")); };
  return given[0]->is_text() ? is_end(*given[0]) : std::ranges::any_of(given[0]->sequence().items, is_end);
}
bool starts(std::string_view text, std::string_view end) { return text.starts_with(end); }
bool ends(std::string_view text, std::string_view end) { return text.ends_with(end); }

// find, rfind, index, rindex: in characters; -1 for nothing.
std::int64_t find_in(Run& run, const Value& self, const Arguments& arguments, bool from_right) {
  const auto given = bind(arguments, "find", {"sub", "start", "end"});
  const std::string sought = text_or(given[0], "");
  const Part part = part_of(run, self, given[1], given[2]);
  const std::size_t at = from_right ? part.text.rfind(sought) : part.text.find(sought);
  if (!part.is_inside || at == std::string_view::npos) return -1;
  return static_cast<std::int64_t>(part.start + count_characters(part.text.substr(0, at)));
}
std::int64_t require_found(std::int64_t index) {
  require(index >= 0, "a text that index seeks is not there: expected it");
  return index;
}

Value count_method(Run& run, const Value& self, const Arguments& arguments) {
  const auto given = bind(arguments, "count", {"sub", "start", "end"});
  const std::string sought = text_or(given[0], "");
  const auto [text, start, is_inside] = part_of(run, self, given[1], given[2]);
  if (!is_inside) return std::int64_t{0};
  if (sought.empty()) return integer(count_characters(text) + 1);
  std::size_t n = 0;
  for (std::size_t at = text.find(sought); at != text.npos; at = text.find(sought, at + sought.size())) ++n;
  return integer(n);
}

Value join_method(Run& run, const Value& self, const Arguments& arguments) {
  const auto given = bind(arguments, "join", {"iterable"});
  std::string joined;
  bool is_first = true;
  for (const auto& item : iterate(given[0].value_or(Value()))) {
    require(item.is_text(), "join meets a '{}': expected texts", type_name(item));
    run.charge_made(item.text().size() + self.text().size());
    if (!is_first) joined += self.text();
    joined += item.text();
    is_first = false;
  }
  return text(std::move(joined));
}

Value partition(Run& run, const Value& self, const Arguments& arguments, bool from_right) {
  const std::string separator = text_or(bind(arguments, "partition", {"sep"})[0], "");
  require(!separator.empty(), "partition has an empty separator: expected a text");
  const std::string& whole = self.text();
  const std::size_t at = from_right ? whole.rfind(separator) : whole.find(separator);
  std::vector<std::string> parts{whole.substr(0, at), separator, ""};
  if (at == std::string::npos) {
    parts = from_right ? std::vector<std::string>{"", "", whole} : std::vector<std::string>{whole, "", ""};
  } else {
    parts[2] = whole.substr(at + separator.size());
  }
  std::vector<Value> items;
  for (auto& part : parts) items.push_back(run.made(std::move(part)));
  return run.made(std::move(items), Sequence::Kind::tuple);
}

// ljust, rjust, center and zfill: to a width in characters.
Value padded(Run& run, const Value& self, const Arguments& arguments, std::string_view side) {
  const auto given = bind(arguments, side, {"width", "fillchar"});
  const std::string fill = text_or(given[1], side == "zfill" ? "0" : " ");
  require(count_characters(fill) == 1, "{} has a fill of other than one character: expected one", side);
  const auto width = static_cast<std::size_t>(std::max<std::int64_t>(0, integer_or(given[0], 0)));
  const std::size_t n = count_characters(self.text());
  const std::size_t missing = width > n ? width - n : 0;
  run.charge_made(std::min(missing, max_made_bytes) * fill.size() + self.text().size());
  const std::size_t left = side == "ljust" ? 0 : side == "center" ? missing / 2 + (missing & width & 1) : missing;
  std::string out;
  for (std::size_t i = 0; i < left; ++i) out += fill;
  out += self.text();
  for (std::size_t i = left; i < missing; ++i) out += fill;
  const bool has_sign =
      side == "zfill" && missing > 0 && (self.text().starts_with('-') || self.text().starts_with('+'));
  if (has_sign) std::swap(out[0], out[left]);
  return text(std::move(out));
}

Value replace_method(Run& run, const Value& self, const Arguments& arguments) {
  const auto given = bind(arguments, "replace", {"old", "new", "count"});
  require(given[0] && given[1], "replace has fewer than two arguments: expected two texts");
  return run.made(replaced(run, self.text(), text_or(given[0], ""), text_or(given[1], ""), integer_or(given[2], -1)));
}

Value without_end(Run& run, const Value& self, const Arguments& arguments, bool is_prefix) {
  const std::string end = text_or(bind(arguments, "removeprefix", {"end"})[0], "");
  const std::string& whole = self.text();
  if (is_prefix) return run.made(whole.starts_with(end) ? whole.substr(end.size()) : whole);
  return run.made(whole.ends_with(end) ? whole.substr(0, whole.size() - end.size()) : whole);
}

// Whether there are characters and all are such.
Value all_are(const Value& self, bool (*is_such)(char32_t)) {
  const auto all = characters(self.text());
  return !all.empty() && std::ranges::all_of(all, [&](auto character) { return is_such(code_point(character)); });
}

// "{}", "{0}" and "{name}", without formats.
Value format_method(Run& run, const Value& self, const Arguments& arguments) {
  const std::string& format = self.text();
  std::string out;
  std::size_t next = 0;
  for (std::size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if ((c == '{' || c == '}') && i + 1 < format.size() && format[i + 1] == c) {
      out += format[++i];
      continue;
    }
    if (c != '{' && c != '}') {
      out += c;
      continue;
    }
    const std::size_t end = format.find('}', i);
    require(c == '{' && end != std::string::npos, "format has a brace alone: expected a pair of braces");
    const std::string field = format.substr(i + 1, end - i - 1);
    const bool is_number =
        !field.empty() && field.size() < 6 && std::ranges::all_of(field, [](char d) { return d >= '0' && d <= '9'; });
    const auto named = std::ranges::find(arguments.named, field, [](const auto& argument) { return argument.first; });
    const std::size_t index = field.empty() ? next++ : is_number ? std::stoul(field) : arguments.positional.size();
    require(named != arguments.named.end() || index < arguments.positional.size(),
            "format has no value for '{{{}}}': expected an argument, and no format of its own", printable(field));
    out += to_text(named != arguments.named.end() ? named->second : arguments.positional[index]);
    run.charge_made(out.size());
    i = end;
  }
  return run.made(std::move(out));
}

bool is_text_digit(char32_t c) { return is_digit(c); }
bool is_alphanumeric(char32_t c) { return is_letter(c) || is_digit(c); }

Value case_test(Run& run, const Value& self, const char* test) { return apply_test(run, test, self, {}); }

constexpr NamedMethod text_methods[] = {
    {"strip", [](Run& r, const Value& s, const Arguments& a) { return strip_ends(r, s, a, true, true); }},
    {"lstrip", [](Run& r, const Value& s, const Arguments& a) { return strip_ends(r, s, a, true, false); }},
    {"rstrip", [](Run& r, const Value& s, const Arguments& a) { return strip_ends(r, s, a, false, true); }},
    {"split", [](Run& r, const Value& s, const Arguments& a) { return split_method(r, s, a, false); }},
    {"rsplit", [](Run& r, const Value& s, const Arguments& a) { return split_method(r, s, a, true); }},
    {"splitlines", splitlines},
    {"startswith", [](Run& r, const Value& s, const Arguments& a) { return has_end(r, s, a, starts); }},
    {"endswith", [](Run& r, const Value& s, const Arguments& a) { return has_end(r, s, a, ends); }},
    {"find", [](Run& r, const Value& s, const Arguments& a) { return Value(find_in(r, s, a, false)); }},
    {"rfind", [](Run& r, const Value& s, const Arguments& a) { return Value(find_in(r, s, a, true)); }},
    {"index", [](Run& r, const Value& s, const Arguments& a) { return Value(require_found(find_in(r, s, a, false))); }},
    {"rindex", [](Run& r, const Value& s, const Arguments& a) { return Value(require_found(find_in(r, s, a, true))); }},
    {"count", count_method},
    {"join", join_method},
    {"partition", [](Run& r, const Value& s, const Arguments& a) { return partition(r, s, a, false); }},
    {"rpartition", [](Run& r, const Value& s, const Arguments& a) { return partition(r, s, a, true); }},
    {"ljust", [](Run& r, const Value& s, const Arguments& a) { return padded(r, s, a, "ljust"); }},
    {"rjust", [](Run& r, const Value& s, const Arguments& a) { return padded(r, s, a, "rjust"); }},
    {"center", [](Run& r, const Value& s, const Arguments& a) { return padded(r, s, a, "center"); }},
    {"zfill", [](Run& r, const Value& s, const Arguments& a) { return padded(r, s, a, "zfill"); }},
    {"replace", replace_method},
    {"removeprefix", [](Run& r, const Value& s, const Arguments& a) { return without_end(r, s, a, true); }},
    {"removesuffix", [](Run& r, const Value& s, const Arguments& a) { return without_end(r, s, a, false); }},
    {"upper", [](Run& r, const Value& s, const Arguments&) { return r.made(upper(s.text())); }},
    {"lower", [](Run& r, const Value& s, const Arguments&) { return r.made(lower(s.text())); }},
    {"casefold", [](Run& r, const Value& s, const Arguments&) { return r.made(lower(s.text())); }},
    {"swapcase", [](Run& r, const Value& s, const Arguments&) { return r.made(swapped_case(s.text())); }},
    {"capitalize", [](Run& r, const Value& s, const Arguments&) { return r.made(capitalize(s.text())); }},
    {"title", [](Run& r, const Value& s, const Arguments&) { return r.made(title(s.text())); }},
    {"isspace", [](Run&, const Value& s, const Arguments&) { return all_are(s, is_space); }},
    {"isdigit", [](Run&, const Value& s, const Arguments&) { return all_are(s, is_text_digit); }},
    {"isdecimal", [](Run&, const Value& s, const Arguments&) { return all_are(s, is_text_digit); }},
    {"isnumeric", [](Run&, const Value& s, const Arguments&) { return all_are(s, is_text_digit); }},
    {"isalpha", [](Run&, const Value& s, const Arguments&) { return all_are(s, is_letter); }},
    {"isalnum", [](Run&, const Value& s, const Arguments&) { return all_are(s, is_alphanumeric); }},
    {"isupper", [](Run& r, const Value& s, const Arguments&) { return case_test(r, s, "upper"); }},
    {"islower", [](Run& r, const Value& s, const Arguments&) { return case_test(r, s, "lower"); }},
    {"format", format_method},
};

Value dict_view(Run& run, const Value& self, Sequence::Kind kind) {
  std::vector<Value> items;
  for (const auto& [key, value] : self.dict().entries) {
    if (kind == Sequence::Kind::dict_items) {
      items.push_back(run.made(std::vector<Value>{key, value}, Sequence::Kind::tuple));
    } else {
      items.push_back(kind == Sequence::Kind::dict_keys ? key : value);
    }
  }
  return run.made(std::move(items), kind);
}

Value dict_get(Run&, const Value& self, const Arguments& arguments) {
  const auto given = bind(arguments, "get", {"key", "default"});
  require(given[0].has_value(), "get has no argument: expected a key");
  const Value* found = find(self.dict(), *given[0]);
  return found != nullptr ? *found : given[1].value_or(None{});
}

Value copied(Run&, const Value& self, const Arguments&) { return self; }

constexpr NamedMethod dict_methods[] = {
    {"items", [](Run& r, const Value& s, const Arguments&) { return dict_view(r, s, Sequence::Kind::dict_items); }},
    {"keys", [](Run& r, const Value& s, const Arguments&) { return dict_view(r, s, Sequence::Kind::dict_keys); }},
    {"values", [](Run& r, const Value& s, const Arguments&) { return dict_view(r, s, Sequence::Kind::dict_values); }},
    {"get", dict_get},
    {"copy", copied},
};

Value list_count(Run& run, const Value& self, const Arguments& arguments) {
  const Value sought = bind(arguments, "count", {"value"})[0].value_or(Value());
  run.charge(32 * self.sequence().items.size());
  return integer(static_cast<std::size_t>(
      std::ranges::count_if(self.sequence().items, [&](const Value& item) { return equal(item, sought); })));
}

Value list_index(Run& run, const Value& self, const Arguments& arguments) {
  const Value sought = bind(arguments, "index", {"value"})[0].value_or(Value());
  const auto& items = self.sequence().items;
  run.charge(32 * items.size());
  const auto found = std::ranges::find_if(items, [&](const Value& item) { return equal(item, sought); });
  require(found != items.end(), "a value that index seeks is not in the list: expected it");
  return integer(static_cast<std::size_t>(found - items.begin()));
}

constexpr NamedMethod list_methods[] = {{"count", list_count}, {"index", list_index}, {"copy", copied}};

constexpr std::string_view dict_changes[] = {"clear", "pop", "popitem", "setdefault", "update"};
constexpr std::string_view list_changes[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"};

Value refuse_change(const std::string& type, std::string_view name) {
  return function(std::string(name), [type, name = std::string(name)](Run&, Arguments&) -> Value {
    fail("'{}' would change a {}: expected a template that leaves its values as they are", name, type);
  });
}

}  // namespace

std::optional<Value> find_method(const Value& object, std::string_view name) {
  std::span<const NamedMethod> methods;
  std::span<const std::string_view> changes;
  if (object.is_text()) methods = text_methods;
  if (object.is_dict()) {
    methods = dict_methods;
    changes = dict_changes;
  }
  if (object.is_sequence() && object.sequence().kind == Sequence::Kind::list) {
    methods = list_methods;
    changes = list_changes;
  }
  if (object.is_sequence() && object.sequence().kind == Sequence::Kind::tuple) {
    methods = std::span(list_methods).first(2);
  }
  if (std::ranges::find(changes, name) != changes.end()) return refuse_change(type_name(object), name);
  const auto found = std::ranges::find(methods, name, &NamedMethod::name);
  if (found == methods.end()) return std::nullopt;
  return function(std::string(name), [object, called = found->call](Run& run, Arguments& arguments) {
    run.charge(weight(object));
    return called(run, object, arguments);
  });
}

}  // namespace csreft::jinja
