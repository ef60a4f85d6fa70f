#include "models/text/jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "models/text/jinja/format.h"
#include "models/text/jinja/text.h"

namespace csreft::jinja {
namespace {

void require_defined(const Value& value) {
  if (value.is<Undefined>()) fail("{}", *value.as<Undefined>().why);
}

[[noreturn]] void refuse(std::string_view op, const Value& left, const Value& right) {
  fail("'{}' {} '{}' is not possible: expected operands of other types", type_name(left), op, type_name(right));
}

void require_no_overflow(bool overflows) {
  require(!overflows, "a whole number is beyond 64 bits: expected a smaller one");
}

std::int64_t multiplied(std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  require_no_overflow(__builtin_mul_overflow(a, b, &out));
  return out;
}

// Python's // and %: rounded down, and of the divisor's sign.
std::int64_t floor_divided(std::int64_t a, std::int64_t b) {
  require_no_overflow(b == -1 && a == INT64_MIN);
  return a / b - (a % b != 0 && (a % b < 0) != (b < 0) ? 1 : 0);
}
std::int64_t remainder_of(std::int64_t a, std::int64_t b) {
  if (b == -1) return 0;
  const std::int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double remainder_of(double a, double b) {
  const double rest = std::fmod(a, b);
  if (rest == 0.0) return std::copysign(0.0, b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

// As CPython does it: not floor(a / b), whose division rounds.
double floor_divided(double a, double b) {
  double rest = std::fmod(a, b);
  double quotient = (a - rest) / b;
  if (rest != 0.0 && (rest < 0) != (b < 0)) quotient -= 1.0;
  if (quotient == 0.0) return std::copysign(0.0, a / b);
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

std::int64_t powered(std::int64_t base, std::int64_t exponent) {
  std::int64_t out = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0) out = multiplied(out, base);
    exponent >>= 1;
    if (exponent > 0) base = multiplied(base, base);
  }
  return out;
}

Value of_integers(std::string_view op, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  if (op == "+" || op == "-") {
    require_no_overflow(op == "+" ? __builtin_add_overflow(a, b, &out) : __builtin_sub_overflow(a, b, &out));
    return out;
  }
  if (op == "*") return multiplied(a, b);
  if (op == "**") {
    if (b >= 0) return powered(a, b);
    require(a != 0, "zero has no negative power: expected another base");
    return std::pow(static_cast<double>(a), static_cast<double>(b));
  }
  require(b != 0, "a number is divided by zero: expected another divisor");
  if (op == "/") return static_cast<double>(a) / static_cast<double>(b);
  return op == "//" ? floor_divided(a, b) : remainder_of(a, b);
}

Value of_numbers(std::string_view op, double a, double b) {
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (op == "**") {
    require(a != 0.0 || b >= 0.0, "zero has no negative power: expected another base");
    const double power = std::pow(a, b);
    require(!std::isnan(power) || std::isnan(a) || std::isnan(b), "a power is no real number: expected another base");
    require(!std::isinf(power) || std::isinf(a) || std::isinf(b), "a power is too large: expected a smaller one");
    return power;
  }
  require(b != 0.0, "a number is divided by zero: expected another divisor");
  if (op == "/") return a / b;
  return op == "//" ? floor_divided(a, b) : remainder_of(a, b);
}

// A text or a list, so many times over.
Value repeated(Run& run, const Value& value, std::int64_t times) {
  const std::size_t n = times < 0 ? 0 : static_cast<std::size_t>(times);
  const std::size_t size = value.is_text() ? value.text().size() : value.sequence().items.size() * sizeof(Value);
  require(size == 0 || n <= max_made_bytes / size, "it makes more than {} bytes of text and lists: expected fewer",
          max_made_bytes);
  run.charge_made(size * n);
  if (value.is_text()) {
    std::string out;
    out.reserve(size * n);
    for (std::size_t i = 0; size > 0 && i < n; ++i) out += value.text();
    return text(std::move(out));
  }
  std::vector<Value> items;
  for (std::size_t i = 0; size > 0 && i < n; ++i) {
    items.insert(items.end(), value.sequence().items.begin(), value.sequence().items.end());
  }
  return sequence(std::move(items), value.sequence().kind);
}

bool is_listed(const Value& value) {
  return value.is_sequence() &&
         (value.sequence().kind == Sequence::Kind::list || value.sequence().kind == Sequence::Kind::tuple);
}

bool contains(Run& run, const Value& container, const Value& value) {
  run.charge(weight(container) + weight(value));
  if (container.is_text()) {
    require_defined(value);
    require(value.is_text(), "'{}' is sought in a text: expected a text", type_name(value));
    return container.text().find(value.text()) != std::string::npos;
  }
  if (container.is_dict()) return find(container.dict(), value) != nullptr;
  const auto items = iterate(container);
  run.charge(32 * items.size());
  return std::ranges::any_of(items, [&](const Value& item) { return equal(item, value); });
}

}  // namespace

Value arithmetic(Run& run, std::string_view op, const Value& left, const Value& right) {
  if (op == "%" && left.is_text()) return run.made(format_percent(run, left.text(), right));
  require_defined(left);
  require_defined(right);
  if (const auto a = as_integer(left), b = as_integer(right); a && b) return of_integers(op, *a, *b);
  if (const auto a = as_number(left), b = as_number(right); a && b) return of_numbers(op, *a, *b);
  if (op == "+" && left.is_text() && right.is_text()) {
    run.charge_made(left.text().size() + right.text().size());
    return text(left.text() + right.text());
  }
  if (op == "+" && is_listed(left) && is_listed(right) && left.sequence().kind == right.sequence().kind) {
    auto items = left.sequence().items;
    items.insert(items.end(), right.sequence().items.begin(), right.sequence().items.end());
    return run.made(std::move(items), left.sequence().kind);
  }
  if (op == "*" && (left.is_text() || is_listed(left)) && as_integer(right)) {
    return repeated(run, left, *as_integer(right));
  }
  if (op == "*" && (right.is_text() || is_listed(right)) && as_integer(left)) {
    return repeated(run, right, *as_integer(left));
  }
  refuse(op, left, right);
}

Value negated(const Value& value) {
  require_defined(value);
  if (const auto whole = as_integer(value)) return of_integers("-", 0, *whole);
  require(value.is<double>(), "'{}' has no sign: expected a number", type_name(value));
  return -value.as<double>();
}

bool compared(Run& run, std::string_view op, const Value& left, const Value& right) {
  if (op == "in") return contains(run, right, left);
  if (op == "not in") return !contains(run, right, left);
  run.charge(std::min(weight(left), weight(right)));
  if (op == "==") return equal(left, right);
  if (op == "!=") return !equal(left, right);
  require_defined(left);
  require_defined(right);
  const auto a = as_number(left), b = as_number(right);
  if (a && b && (std::isnan(*a) || std::isnan(*b))) return false;
  const int order = compare(left, right);
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  return op == ">" ? order > 0 : order >= 0;
}

const Value* member_at(const std::vector<Value>& items, std::int64_t index) {
  const auto n = static_cast<std::int64_t>(items.size());
  if (index < 0) index += n;
  return index < 0 || index >= n ? nullptr : &items[static_cast<std::size_t>(index)];
}

Value sliced(Run& run, const Value& object, const Value& start, const Value& stop, const Value& step) {
  require_defined(object);
  const bool has_slices = object.is_text() || is_listed(object) ||
                          (object.is_sequence() && object.sequence().kind == Sequence::Kind::range);
  require(has_slices, "a '{}' has no slices: expected a text or a list", type_name(object));
  const auto bound = [](const Value& value, std::int64_t fallback) {
    if (value.is<None>()) return fallback;
    const auto whole = as_integer(value);
    require(whole.has_value(), "a slice has '{}' for a bound: expected a whole number", type_name(value));
    return *whole;
  };
  run.charge_made(weight(object));
  const auto items = iterate(object);
  const auto n = static_cast<std::int64_t>(items.size());
  const std::int64_t by = bound(step, 1);
  require(by != 0, "a slice has a step of zero: expected another");
  const auto within = [&](std::int64_t index, std::int64_t low, std::int64_t high) {
    if (index < 0) index = index < -n ? -1 : index + n;
    return std::clamp(index, low, high);
  };
  const std::int64_t low = by > 0 ? 0 : -1, high = by > 0 ? n : n - 1;
  const std::int64_t first = start.is<None>() ? (by > 0 ? 0 : n - 1) : within(bound(start, 0), low, high);
  const std::int64_t last = stop.is<None>() ? (by > 0 ? n : -1) : within(bound(stop, 0), low, high);
  std::vector<Value> chosen;
  std::string joined;
  for (std::int64_t i = first; by > 0 ? i < last : i > last; i += by) {
    const Value& item = items[static_cast<std::size_t>(i)];
    if (object.is_text()) {
      joined += item.text();
    } else {
      chosen.push_back(item);
    }
    if (by > n || by < -n) break;
  }
  return object.is_text() ? text(std::move(joined)) : sequence(std::move(chosen), object.sequence().kind);
}

}  // namespace csreft::jinja
