// The values of a template's language: Python's, as far as templates use them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace csreft::jinja {

class Run;
struct Value;
struct Loop;

// What a template gets for a name or a member that is not there: empty where it is printed, an error in most else.
struct Undefined {
  std::shared_ptr<const std::string> why;
};
struct None {};
using Text = std::shared_ptr<const std::string>;

struct Sequence {
  // `generator` can be walked once, has no length and is always true; the three views and a generator have no index.
  enum class Kind { list, tuple, generator, range, dict_keys, dict_values, dict_items };
  Kind kind = Kind::list;
  std::vector<Value> items;
  int depth = 1;           // of nesting
  std::size_t weight = 1;  // of all that it holds
  bool consumed = false;   // of a generator
  bool is_group = false;   // of groupby: a tuple whose two members are named grouper and list, too
};

// Keeps the order in which keys came.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  std::unordered_map<std::string, std::size_t> index;  // by hash_key
  int depth = 1;
  std::size_t weight = 1;
};

// The one value that a template can change. A run owns its namespaces, so that one that holds itself goes with the run.
struct Namespace {
  std::vector<std::pair<std::string, Value>> members;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct Function {
  std::string name;
  std::function<Value(Run&, Arguments&)> call;
};

struct Value {
  std::variant<Undefined, None, bool, std::int64_t, double, Text, std::shared_ptr<Sequence>, std::shared_ptr<Dict>,
               Namespace*, std::shared_ptr<const Function>, std::shared_ptr<Loop>>
      data;

  Value() = default;
  template <typename T>
  requires std::is_constructible_v<decltype(data), T> &&(!std::is_same_v<T, Value>)Value(T value)
      : data(std::move(value)) {}  // NOLINT(google-explicit-constructor)

  template <typename T>
  bool is() const {
    return std::holds_alternative<T>(data);
  }
  template <typename T>
  const T& as() const {
    return std::get<T>(data);
  }
  bool is_text() const { return is<Text>(); }
  const std::string& text() const { return *as<Text>(); }
  bool is_sequence() const { return is<std::shared_ptr<Sequence>>(); }
  Sequence& sequence() const { return *as<std::shared_ptr<Sequence>>(); }
  bool is_dict() const { return is<std::shared_ptr<Dict>>(); }
  const Dict& dict() const { return *as<std::shared_ptr<Dict>>(); }
};

// Values nest no deeper, so that whatever walks them needs little stack; and they hold no more, however often they hold
// the same, so that it comes to an end.
inline constexpr int max_value_depth = 100;
inline constexpr std::size_t max_value_weight = std::size_t{1} << 24;

// The bytes of its texts and the number of its members, about.
std::size_t weight(const Value& value);

Value undefined(std::string why);
Value text(std::string text);
Value integer(std::size_t value);
// Throws Error for values beyond max_value_depth or max_value_weight.
Value sequence(std::vector<Value> items, Sequence::Kind kind = Sequence::Kind::list);
Value dict(std::vector<std::pair<Value, Value>>&& entries);
Value function(std::string name, std::function<Value(Run&, Arguments&)> call);

// The type's name as Python has it: "str", "NoneType".
std::string type_name(const Value& value);
bool is_true(const Value& value);
// What a dict finds a key by: equal for equal keys, so for 1, 1.0 and True. Throws Error for a list or a dict.
std::string hash_key(const Value& value);
const Value* find(const Dict& dict, const Value& key);

// int, float or bool as a number; nothing for others.
std::optional<std::int64_t> as_integer(const Value& value);
std::optional<double> as_number(const Value& value);

bool equal(const Value& a, const Value& b);
// Negative, zero or positive. Throws Error for values that Python does not order.
int compare(const Value& a, const Value& b);
bool same_object(const Value& a, const Value& b);

// Python's str() and repr().
std::string to_text(const Value& value);
std::string to_repr(const Value& value);

// The members of a sequence, a dict's keys, a text's characters, nothing of an undefined. A generator is then empty.
// Throws Error for what cannot be walked. `is_iterable` says whether it can.
bool is_iterable(const Value& value);
std::vector<Value> iterate(const Value& value);
// Throws Error for what has no length.
std::size_t length(const Value& value);

}  // namespace csreft::jinja
