#include "models/text/jinja/value.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "models/text/jinja/text.h"

namespace csreft::jinja {
namespace {

int depth_of(const Value& value) {
  if (value.is_sequence()) return value.sequence().depth;
  if (value.is_dict()) return value.dict().depth;
  return 0;
}

// Of a container that will hold `members`.
struct Extent {
  int depth = 1;
  std::size_t weight = 1;

  void add(const Value& member) {
    depth = std::max(depth, depth_of(member) + 1);
    weight += 1 + csreft::jinja::weight(member);
    require(depth <= max_value_depth, "values are nested deeper than {}: expected fewer levels", max_value_depth);
    require(weight <= max_value_weight, "a list or a dict holds more than {} bytes: expected less", max_value_weight);
  }
};

std::string joined_reprs(const std::vector<Value>& items) {
  std::string out;
  for (const auto& item : items) {
    if (!out.empty()) out += ", ";
    out += to_repr(item);
  }
  return out;
}

std::string sequence_repr(const Sequence& sequence) {
  const std::string items = joined_reprs(sequence.items);
  switch (sequence.kind) {
    case Sequence::Kind::list: return "[" + items + "]";
    case Sequence::Kind::tuple: return sequence.items.size() == 1 ? "(" + items + ",)" : "(" + items + ")";
    case Sequence::Kind::dict_keys: return "dict_keys([" + items + "])";
    case Sequence::Kind::dict_values: return "dict_values([" + items + "])";
    case Sequence::Kind::dict_items: return "dict_items([" + items + "])";
    default: return "<" + items + ">";
  }
}

std::string dict_repr(const Dict& dict) {
  std::string out;
  for (const auto& [key, value] : dict.entries) {
    if (!out.empty()) out += ", ";
    out += to_repr(key) + ": " + to_repr(value);
  }
  return "{" + out + "}";
}

// Whether two sequences can be equal, and ordered.
bool comparable(const Sequence& a, const Sequence& b) {
  return a.kind == b.kind && a.kind != Sequence::Kind::generator;
}

bool equal_dicts(const Dict& a, const Dict& b) {
  return a.entries.size() == b.entries.size() && std::ranges::all_of(a.entries, [&](const auto& entry) {
           const Value* other = find(b, entry.first);
           return other != nullptr && equal(entry.second, *other);
         });
}

template <typename T>
int order(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

}  // namespace

std::size_t weight(const Value& value) {
  if (value.is_text()) return value.text().size();
  if (value.is_sequence()) return value.sequence().weight;
  return value.is_dict() ? value.dict().weight : 1;
}

Value undefined(std::string why) { return Undefined{std::make_shared<const std::string>(std::move(why))}; }
Value text(std::string text) { return std::make_shared<const std::string>(std::move(text)); }
Value integer(std::size_t value) { return static_cast<std::int64_t>(value); }

Value sequence(std::vector<Value> items, Sequence::Kind kind) {
  Extent extent;
  for (const auto& item : items) extent.add(item);
  return std::make_shared<Sequence>(Sequence{kind, std::move(items), extent.depth, extent.weight, false, false});
}

Value dict(std::vector<std::pair<Value, Value>>&& entries) {
  auto made = std::make_shared<Dict>();
  Extent extent;
  for (auto& [key, value] : entries) {
    extent.add(key);
    extent.add(value);
    const auto [found, is_new] = made->index.emplace(hash_key(key), made->entries.size());
    if (is_new) {
      made->entries.emplace_back(std::move(key), std::move(value));
    } else {
      made->entries[found->second].second = std::move(value);
    }
  }
  made->depth = extent.depth;
  made->weight = extent.weight;
  return made;
}

Value function(std::string name, std::function<Value(Run&, Arguments&)> call) {
  return std::make_shared<const Function>(Function{std::move(name), std::move(call)});
}

std::string type_name(const Value& value) {
  if (value.is_sequence()) {
    constexpr const char* names[] = {"list", "tuple", "generator", "range", "dict_keys", "dict_values", "dict_items"};
    return names[static_cast<std::size_t>(value.sequence().kind)];
  }
  constexpr const char* names[] = {"Undefined", "NoneType", "bool",      "int",      "float",      "str",
                                   "",          "dict",     "Namespace", "function", "LoopContext"};
  return names[value.data.index()];
}

bool is_true(const Value& value) {
  if (value.is<Undefined>() || value.is<None>()) return false;
  if (const auto number = as_number(value)) return *number != 0.0;
  if (value.is_text()) return !value.text().empty();
  if (value.is_sequence()) {
    return value.sequence().kind == Sequence::Kind::generator || !value.sequence().items.empty();
  }
  return !value.is_dict() || !value.dict().entries.empty();
}

std::string hash_key(const Value& value) {
  if (value.is_text()) return "s" + value.text();
  if (value.is<None>()) return "N";
  if (value.is<Undefined>()) return "U";
  if (const auto whole = as_integer(value)) return "i" + std::to_string(*whole);
  if (value.is<double>()) {
    const double number = value.as<double>();
    if (number == std::floor(number) && std::abs(number) < 9e18) {
      return "i" + std::to_string(static_cast<std::int64_t>(number));
    }
    return "f" + number_text(number);
  }
  if (value.is_sequence() && value.sequence().kind == Sequence::Kind::tuple) {
    std::string key = "t";
    for (const auto& item : value.sequence().items) {
      const std::string part = hash_key(item);
      key += std::to_string(part.size()) + ":" + part;
    }
    return key;
  }
  fail("unhashable type: '{}': expected a key such as a text or a number", type_name(value));
}

const Value* find(const Dict& dict, const Value& key) {
  const auto found = dict.index.find(hash_key(key));
  return found == dict.index.end() ? nullptr : &dict.entries[found->second].second;
}

std::optional<std::int64_t> as_integer(const Value& value) {
  if (value.is<bool>()) return value.as<bool>() ? 1 : 0;
  if (value.is<std::int64_t>()) return value.as<std::int64_t>();
  return std::nullopt;
}

std::optional<double> as_number(const Value& value) {
  if (value.is<double>()) return value.as<double>();
  if (const auto whole = as_integer(value)) return static_cast<double>(*whole);
  return std::nullopt;
}

bool equal(const Value& a, const Value& b) {
  if (const auto x = as_integer(a), y = as_integer(b); x && y) return *x == *y;
  if (const auto x = as_number(a), y = as_number(b); x && y) return *x == *y;
  if (a.data.index() != b.data.index()) return false;
  if (a.is_text()) return a.text() == b.text();
  if (a.is<Undefined>() || a.is<None>()) return true;
  if (a.is_sequence() && comparable(a.sequence(), b.sequence())) {
    return std::ranges::equal(a.sequence().items, b.sequence().items, equal);
  }
  if (a.is_dict()) return equal_dicts(a.dict(), b.dict());
  return same_object(a, b);
}

int compare(const Value& a, const Value& b) {
  if (const auto x = as_integer(a), y = as_integer(b); x && y) return order(*x, *y);
  if (const auto x = as_number(a), y = as_number(b); x && y) return order(*x, *y);
  if (a.is_text() && b.is_text()) return order(a.text(), b.text());
  const bool ordered = a.is_sequence() && b.is_sequence() && comparable(a.sequence(), b.sequence()) &&
                       (a.sequence().kind == Sequence::Kind::list || a.sequence().kind == Sequence::Kind::tuple);
  require(ordered, "'{}' and '{}' have no order: expected two numbers or two texts", type_name(a), type_name(b));
  const auto &x = a.sequence().items, &y = b.sequence().items;
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (!equal(x[i], y[i])) return compare(x[i], y[i]);
  }
  return order(x.size(), y.size());
}

bool same_object(const Value& a, const Value& b) {
  if (a.data.index() != b.data.index()) return false;
  const auto same = [&]<typename T>(const T& x) {
    if constexpr (requires { x.get(); }) {
      if constexpr (std::is_same_v<T, Text>) return *x == b.text();
      return x == b.as<T>();
    }
    if constexpr (std::is_pointer_v<T> || std::is_arithmetic_v<T>) return x == b.as<T>();
    return true;
  };
  return std::visit(same, a.data);
}

std::string to_text(const Value& value) {
  if (value.is<Undefined>()) return "";
  return value.is_text() ? value.text() : to_repr(value);
}

std::string to_repr(const Value& value) {
  if (value.is<Undefined>()) return "Undefined";
  if (value.is<None>()) return "None";
  if (value.is<bool>()) return value.as<bool>() ? "True" : "False";
  if (value.is<std::int64_t>()) return std::to_string(value.as<std::int64_t>());
  if (value.is<double>()) return number_text(value.as<double>());
  if (value.is_text()) return repr_of_text(value.text());
  if (value.is_dict()) return dict_repr(value.dict());
  const bool prints = value.is_sequence() && value.sequence().kind != Sequence::Kind::generator &&
                      value.sequence().kind != Sequence::Kind::range;
  require(prints, "a {} has no text of its own: expected a text, a number, a list or a dict", type_name(value));
  return sequence_repr(value.sequence());
}

bool is_iterable(const Value& value) {
  return value.is<Undefined>() || value.is_text() || value.is_sequence() || value.is_dict();
}

std::vector<Value> iterate(const Value& value) {
  require(is_iterable(value), "'{}' is not iterable: expected a list, a dict or a text", type_name(value));
  std::vector<Value> items;
  if (value.is_text()) {
    for (const auto character : characters(value.text())) items.push_back(text(std::string(character)));
  } else if (value.is_dict()) {
    for (const auto& [key, member] : value.dict().entries) items.push_back(key);
  } else if (value.is_sequence()) {
    auto& walked = value.sequence();
    if (walked.kind != Sequence::Kind::generator) return walked.items;
    if (!walked.consumed) items = std::move(walked.items);
    walked.consumed = true;
    walked.items.clear();
  }
  return items;
}

std::size_t length(const Value& value) {
  if (value.is<Undefined>()) return 0;
  if (value.is_text()) return count_characters(value.text());
  if (value.is_dict()) return value.dict().entries.size();
  require(value.is_sequence() && value.sequence().kind != Sequence::Kind::generator,
          "a '{}' has no length: expected a list, a dict or a text", type_name(value));
  return value.sequence().items.size();
}

}  // namespace csreft::jinja
