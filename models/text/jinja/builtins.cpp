#include "models/text/jinja/builtins.h"

#include <algorithm>

#include "core/base/error.h"
#include "models/text/jinja/operators.h"
#include "models/text/jinja/text.h"
#include "models/text/tokenizer.h"

namespace csreft::jinja {
namespace {

using TestFunction = bool (*)(Run&, const Value&, const Value&);
struct NamedTest {
  std::string_view name;
  int n_arguments;
  TestFunction holds;
};

bool is_integer(const Value& value) { return value.is<std::int64_t>(); }

bool is_long(const Value& value) {
  return value.is<Undefined>() || value.is_text() || value.is_dict() ||
         (value.is_sequence() &&
          (value.sequence().kind == Sequence::Kind::list || value.sequence().kind == Sequence::Kind::tuple ||
           value.sequence().kind == Sequence::Kind::range));
}

bool is_divisible(Run& run, const Value& value, const Value& by) {
  const Value rest = arithmetic(run, "%", value, by);
  return !rest.is_text() && equal(rest, std::int64_t{0});
}

// Has letters of one case, and none of the other.
bool has_case(Run& run, const Value& value, bool (*wanted)(char32_t), bool (*other)(char32_t)) {
  run.charge(weight(value));
  bool has_wanted = false;
  const std::string shown = to_text(value);
  for (const auto character : characters(shown)) {
    if (other(code_point(character))) return false;
    has_wanted = has_wanted || wanted(code_point(character));
  }
  return has_wanted;
}

bool holds_equal(Run& run, const Value& a, const Value& b) { return compared(run, "==", a, b); }
bool holds_unequal(Run& run, const Value& a, const Value& b) { return compared(run, "!=", a, b); }
bool holds_greater(Run& run, const Value& a, const Value& b) { return compared(run, ">", a, b); }
bool holds_at_least(Run& run, const Value& a, const Value& b) { return compared(run, ">=", a, b); }
bool holds_less(Run& run, const Value& a, const Value& b) { return compared(run, "<", a, b); }
bool holds_at_most(Run& run, const Value& a, const Value& b) { return compared(run, "<=", a, b); }

constexpr NamedTest tests[] = {
    {"defined", 0, [](Run&, const Value& v, const Value&) { return !v.is<Undefined>(); }},
    {"undefined", 0, [](Run&, const Value& v, const Value&) { return v.is<Undefined>(); }},
    {"none", 0, [](Run&, const Value& v, const Value&) { return v.is<None>(); }},
    {"boolean", 0, [](Run&, const Value& v, const Value&) { return v.is<bool>(); }},
    {"true", 0, [](Run&, const Value& v, const Value&) { return v.is<bool>() && v.as<bool>(); }},
    {"false", 0, [](Run&, const Value& v, const Value&) { return v.is<bool>() && !v.as<bool>(); }},
    {"integer", 0, [](Run&, const Value& v, const Value&) { return is_integer(v); }},
    {"float", 0, [](Run&, const Value& v, const Value&) { return v.is<double>(); }},
    {"number", 0, [](Run&, const Value& v, const Value&) { return as_number(v).has_value(); }},
    {"string", 0, [](Run&, const Value& v, const Value&) { return v.is_text(); }},
    {"mapping", 0, [](Run&, const Value& v, const Value&) { return v.is_dict(); }},
    {"iterable", 0, [](Run&, const Value& v, const Value&) { return is_iterable(v); }},
    {"sequence", 0, [](Run&, const Value& v, const Value&) { return is_long(v); }},
    {"callable", 0,
     [](Run&, const Value& v, const Value&) { return v.is<Undefined>() || v.is<std::shared_ptr<const Function>>(); }},
    {"lower", 0, [](Run& run, const Value& v, const Value&) { return has_case(run, v, is_lower, is_upper); }},
    {"upper", 0, [](Run& run, const Value& v, const Value&) { return has_case(run, v, is_upper, is_lower); }},
    {"odd", 0,
     [](Run& run, const Value& v, const Value&) {
       return equal(arithmetic(run, "%", v, std::int64_t{2}), std::int64_t{1});
     }},
    {"even", 0, [](Run& run, const Value& v, const Value&) { return is_divisible(run, v, std::int64_t{2}); }},
    {"divisibleby", 1, is_divisible},
    {"sameas", 1, [](Run&, const Value& a, const Value& b) { return same_object(a, b); }},
    {"in", 1, [](Run& run, const Value& a, const Value& b) { return compared(run, "in", a, b); }},
    {"==", 1, holds_equal},
    {"eq", 1, holds_equal},
    {"equalto", 1, holds_equal},
    {"!=", 1, holds_unequal},
    {"ne", 1, holds_unequal},
    {">", 1, holds_greater},
    {"gt", 1, holds_greater},
    {"greaterthan", 1, holds_greater},
    {">=", 1, holds_at_least},
    {"ge", 1, holds_at_least},
    {"<", 1, holds_less},
    {"lt", 1, holds_less},
    {"lessthan", 1, holds_less},
    {"<=", 1, holds_at_most},
    {"le", 1, holds_at_most},
};

Value make_range(Run& run, Arguments& arguments) {
  const auto given = bind(arguments, "range", {"start", "stop", "step"});
  require(given[0].has_value(), "range has no arguments: expected one to three");
  for (const auto& bound : given) integer_or(bound, 0);
  const std::int64_t start = given[1] ? *as_integer(*given[0]) : 0;
  const std::int64_t stop = *as_integer(given[1] ? *given[1] : *given[0]);
  const std::int64_t step = integer_or(given[2], 1);
  require(step != 0, "range has a step of zero: expected another");
  constexpr std::size_t largest = 100'000;  // as Jinja's sandbox has it
  std::vector<Value> items;
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
    require(items.size() < largest, "range has more than {} members: expected fewer", largest);
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return run.made(std::move(items), Sequence::Kind::range);
}

// The entries of an optional dict and of the named arguments behind it.
std::vector<std::pair<Value, Value>> entries_of(Run& run, Arguments& arguments, std::string_view function) {
  require(arguments.positional.size() <= 1, "{} has {} arguments: expected a dict and names", function,
          arguments.positional.size());
  std::vector<std::pair<Value, Value>> entries;
  for (const auto& source : arguments.positional) {
    run.charge_made(weight(source));
    if (source.is_dict()) {
      entries = source.dict().entries;
      continue;
    }
    for (const auto& pair : iterate(source)) {
      const auto two = iterate(pair);
      require(two.size() == 2, "{} has a member of {} values: expected pairs", function, two.size());
      entries.emplace_back(two[0], two[1]);
    }
  }
  for (const auto& [name, value] : arguments.named) entries.emplace_back(text(name), value);
  return entries;
}

Value make_namespace(Run& run, Arguments& arguments) {
  Namespace* space = run.make_namespace();
  const Value members = dict(entries_of(run, arguments, "namespace"));
  for (const auto& [key, value] : members.dict().entries) {
    require(key.is_text() && !key.text().starts_with('_'),
            "a namespace has no member '{}': expected a name without an underscore", printable(to_text(key)));
    space->members.emplace_back(key.text(), value);
  }
  return space;
}

// Empty at its first call, the separator at each later one.
Value make_joiner(Run& run, Arguments& arguments) {
  const auto given = bind(arguments, "joiner", {"sep"});
  run.charge_made(64);
  return function("joiner", [separator = given[0].value_or(text(", ")), used = std::make_shared<bool>(false)](
                                Run&, Arguments&) { return std::exchange(*used, true) ? separator : text(""); });
}

// Its `current` is one of the values given, the next one behind each call of `next`, the first behind one of `reset`.
Value make_cycler(Run& run, Arguments& arguments) {
  require(!arguments.positional.empty() && arguments.named.empty(), "cycler has no values: expected one at least");
  const Value items = run.made(arguments.positional, Sequence::Kind::tuple);
  Namespace* cycler = run.make_namespace();
  const auto move_to = [cycler, items, at = std::make_shared<std::size_t>(0)](bool to_start) {
    const auto& values = items.sequence().items;
    *at = to_start ? 0 : (*at + 1) % values.size();
    return std::exchange(cycler->members.front().second, values[*at]);
  };
  cycler->members = {
      {"current", items.sequence().items.front()},
      {"next", function("next", [move_to](Run&, Arguments&) { return move_to(false); })},
      {"reset", function("reset", [move_to](Run&, Arguments&) { return move_to(true), Value(None{}); })}};
  return cycler;
}

Value raise_exception(Run&, Arguments& arguments) {
  const auto given = bind(arguments, "raise_exception", {"message"});
  fail("the template refuses this conversation: {}", printable(given[0] ? to_text(*given[0]) : ""));
}

Value strftime_now(Run& run, Arguments& arguments) {
  const auto given = bind(arguments, "strftime_now", {"format"});
  const std::string format = text_or(given[0], "") + "|";  // never empty, so that 0 means too long
  const std::time_t now = run.now();
  std::tm local{};
  localtime_r(&now, &local);
  char buffer[512];
  const std::size_t n = std::strftime(buffer, sizeof buffer, format.c_str(), &local);
  require(n > 0, "strftime_now has a format for more than {} bytes: expected a shorter one", sizeof buffer - 2);
  return run.made(std::string(buffer, n - 1));
}

}  // namespace

bool apply_test(Run& run, const std::string& name, const Value& value, const Arguments& arguments) {
  const auto found = std::ranges::find(tests, name, &NamedTest::name);
  require(found != std::end(tests), "no test is named '{}': expected one such as defined, string or in",
          printable(name));
  const auto n = static_cast<int>(arguments.positional.size());
  require(arguments.named.empty() && n == found->n_arguments, "the test '{}' has {} arguments: expected {}", name,
          n + static_cast<int>(arguments.named.size()), found->n_arguments);
  return found->holds(run, value, n == 0 ? Value() : arguments.positional[0]);
}

Value apply_filter(Run& run, const std::string& name, const Value& value, const Arguments& arguments) {
  for (const auto filters : {text_filters(), layout_filters(), sequence_filters()}) {
    const auto found = std::ranges::find(filters, name, &NamedFilter::name);
    if (found == filters.end()) continue;
    run.charge(weight(value));
    return found->apply(run, value, arguments);
  }
  fail("no filter is named '{}': expected one such as trim, join or tojson", printable(name));
}

std::optional<Value> find_global(std::string_view name) {
  if (name == "range") return function("range", make_range);
  if (name == "namespace") return function("namespace", make_namespace);
  if (name == "joiner") return function("joiner", make_joiner);
  if (name == "cycler") return function("cycler", make_cycler);
  if (name == "raise_exception") return function("raise_exception", raise_exception);
  if (name == "strftime_now") return function("strftime_now", strftime_now);
  if (name == "dict") {
    return function("dict", [](Run& run, Arguments& arguments) { return dict(entries_of(run, arguments, "dict")); });
  }
  return std::nullopt;
}

std::vector<std::optional<Value>> bind(const Arguments& arguments, std::string_view function,
                                       std::initializer_list<std::string_view> names) {
  std::vector<std::optional<Value>> bound(names.size());
  require(arguments.positional.size() <= names.size(), "{} has {} arguments: expected at most {}", function,
          arguments.positional.size(), names.size());
  std::ranges::copy(arguments.positional, bound.begin());
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::ranges::find(names, name);
    require(found != names.end(), "{} has no argument '{}': expected another name", function, printable(name));
    auto& place = bound[static_cast<std::size_t>(found - names.begin())];
    require(!place.has_value(), "{} has its argument '{}' twice: expected it once", function, name);
    place = value;
  }
  return bound;
}

std::int64_t integer_or(const std::optional<Value>& argument, std::int64_t fallback) {
  if (!argument) return fallback;
  const auto whole = as_integer(*argument);
  require(whole.has_value(), "an argument is a '{}': expected a whole number", type_name(*argument));
  return *whole;
}

std::string text_or(const std::optional<Value>& argument, std::string_view fallback) {
  if (!argument) return std::string(fallback);
  require(argument->is_text(), "an argument is a '{}': expected a text", type_name(*argument));
  return argument->text();
}

}  // namespace csreft::jinja
