#include "core/base/options.h"

#include <algorithm>
#include <charconv>

#include "core/base/split.h"
#include "core/base/whole_number.h"

namespace csreft {
namespace {

using nlohmann::json;

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

// What a value of the option's type is called.
std::string_view kind_of(const OptionValue& value) {
  return std::visit(
      Overloaded{[](bool*) { return "on or off"; }, [](std::int64_t*) { return "a whole number"; },
                 [](std::uint64_t*) { return "a whole number of 0 or more"; }, [](double*) { return "a number"; },
                 [](std::string*) { return "text"; }, [](std::vector<std::string>*) { return "a list"; }},
      value);
}

std::string expected_of(const Option& option) {
  if (!option.expected.empty()) return option.expected;
  return std::string(kind_of(option.value));
}

// A list without elements is empty text.
std::vector<std::string> split_list(const std::string& text) {
  if (text.empty()) return {};
  const auto parts = split(text);
  return {parts.begin(), parts.end()};
}

// A list's element as a flag spells it.
std::string element_text(const json& element) {
  return element.is_string() ? element.get<std::string>() : element.dump();
}

bool assign(std::string& value, const json& given) {
  if (given.is_string()) {
    value = given.get<std::string>();
  } else if (given.is_array()) {
    value.clear();
    for (const auto& element : given) value += (value.empty() ? "" : ",") + element_text(element);
  } else {
    return false;
  }
  return true;
}

bool assign(std::vector<std::string>& value, const json& given) {
  if (given.is_string()) {
    value = split_list(given.get<std::string>());
  } else if (given.is_array() && std::ranges::all_of(given, [](const json& e) { return e.is_string(); })) {
    value = given.get<std::vector<std::string>>();
  } else {
    return false;
  }
  return true;
}

bool assign(bool& value, const json& given) {
  if (!given.is_boolean()) return false;
  value = given.get<bool>();
  return true;
}

bool assign(double& value, const json& given) {
  if (!given.is_number()) return false;
  value = given.get<double>();
  return true;
}

template <typename Integer>
bool assign(Integer& value, const json& given) {
  if (!given.is_number_integer()) return false;
  const auto parsed = parse_whole_number<Integer>(given.dump());
  if (parsed) value = *parsed;
  return parsed.has_value();
}

}  // namespace

Range<double> positive() {
  return {"a number more than 0", [](double x) { return std::isfinite(x) && x > 0.0; }};
}

Range<double> not_negative() {
  return {"a number of 0 or more", [](double x) { return std::isfinite(x) && x >= 0.0; }};
}

Range<double> between(double low, double high) {
  return {fmt::format("a number between {:g} and {:g}", low, high),
          [low, high](double x) { return low < x && x < high; }};
}

Range<double> share_less_than_one() {
  return {"0 or more and less than 1", [](double x) { return x >= 0.0 && x < 1.0; }};
}

std::string flag_of(std::string_view name) {
  // Files of options have had this name for the Stiefel manifold's metric; as a flag it is that of scores.
  if (name == "metric") name = "stiefel_metric";
  std::string flag = "--" + std::string(name);
  std::ranges::replace(flag, '_', '-');
  return flag;
}

std::string text_of(const OptionValue& value) {
  return std::visit(Overloaded{[](const bool* v) { return std::string(*v ? "on" : "off"); },
                               [](const std::vector<std::string>* v) { return fmt::format("{}", fmt::join(*v, ",")); },
                               [](const auto* v) { return fmt::format("{}", *v); }},
                    value);
}

json parse_option(const Option& option, const std::string& text) {
  const auto refuse = [&]() {
    fail("{} '{}' is not understood: expected {}", flag_of(option.name), text, expected_of(option));
  };
  return std::visit(Overloaded{[&](bool*) -> json {
                                 if (text != "true" && text != "false" && text != "on" && text != "off") refuse();
                                 return text == "true" || text == "on";
                               },
                               [&](double*) -> json {
                                 double number = 0.0;
                                 const auto [end, error] =
                                     std::from_chars(text.data(), text.data() + text.size(), number);
                                 if (error != std::errc() || end != text.data() + text.size()) refuse();
                                 return number;
                               },
                               [&](std::string*) -> json { return text; },
                               [&](std::vector<std::string>*) -> json { return split_list(text); },
                               [&]<typename Integer>(Integer*) -> json {
                                 const auto number = parse_whole_number<Integer>(text);
                                 if (!number) refuse();
                                 return *number;
                               }},
                    option.value);
}

void OptionWriter::visit(Option& option) {
  std::visit([&](const auto* value) { out_[option.name] = *value; }, option.value);
}

void OptionReader::visit(Option& option) {
  known_.push_back(option.name);
  if (const auto found = given_.find(option.name); found != given_.end()) {
    const bool fits = std::visit([&](auto* value) { return assign(*value, *found); }, option.value);
    require(fits, "{}`{}` is {}: expected {}", where_, option.name, found->dump(), expected_of(option));
  }
  if (!option.choices.empty()) {
    const std::string& name = *std::get<std::string*>(option.value);
    const bool known = std::ranges::any_of(option.choices, [&](const auto& choice) { return choice.first == name; });
    if (!known) {
      std::vector<std::string_view> names;
      for (const auto& choice : option.choices) names.push_back(choice.first);
      std::string what = option.name;
      std::ranges::replace(what, '_', ' ');
      fail_unknown(where_ + what, name, names);
    }
  }
  require(!option.is_valid || option.is_valid(), "{}{} {} is not possible: expected {}", where_,
          where_.empty() ? flag_of(option.name) : option.name, text_of(option.value), option.expected);
}

std::vector<std::string> OptionReader::unknown() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : given_.items()) {
    if (std::ranges::find(known_, name) == known_.end()) names.push_back(name);
  }
  return names;
}

void OptionReader::check_all_known() const {
  for (const auto& name : unknown()) {
    const std::vector<std::string_view> names(known_.begin(), known_.end());
    fail("{}option '{}' is unknown{}: expected one of {}", where_, name, suggestion(name, names),
         fmt::join(known_, ", "));
  }
}

}  // namespace csreft
