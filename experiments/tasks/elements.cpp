#include "experiments/tasks/elements.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/whole_number.h"
#include "experiments/tasks/blank.h"
#include "experiments/tasks/container.h"

namespace csreft {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 5> list_names{"data", "train", "test", "validation", "examples"};
constexpr std::size_t most_nested = 64;

bool is_list_name(std::string_view key) { return std::ranges::find(list_names, key) != list_names.end(); }

struct Place {
  std::string_view text;
  std::int64_t first_line;  // on which the text starts, from 1
  const std::string& where;
};

[[noreturn]] void fail_to_parse(const Place& place, std::size_t bytes_read, const json::exception& error) {
  constexpr int number_out_of_range = 406;
  require(error.id != number_out_of_range, "a number in {}, line {} or later, is out of range: expected finite numbers",
          place.where, place.first_line);
  const std::size_t read = std::min(bytes_read, place.text.size());
  const std::string_view before = place.text.substr(0, read > 0 ? read - 1 : 0);
  const auto line = place.first_line + std::count(before.begin(), before.end(), '\n');
  const std::size_t last_break = before.rfind('\n');
  const std::size_t column = before.size() - (last_break == before.npos ? 0 : last_break + 1) + 1;
  const bool is_utf8 = std::string_view(error.what()).find("UTF-8") == std::string_view::npos;
  fail("broken JSON in {}, line {}, column {}{}: expected a list, or one object a line", place.where, line, column,
       bytes_read > place.text.size() ? " (the text ends here)"
       : is_utf8                      ? ""
                                      : " (a byte that is not UTF-8)");
}

json number_of(const std::string& written) {
  const std::size_t point = written.find('.');
  const bool is_whole = point != written.npos && written.find_first_not_of('0', point + 1) == written.npos;
  if (!is_whole) return written;
  const std::string digits = written.substr(0, point);
  const auto number = parse_whole_number<std::uint64_t>(digits);
  return number ? json(*number) : json(digits);
}

// Builds values for nlohmann's parser. With `on_element`, the elements of the outermost list, or of the list of the
// outermost object, are handed over one by one and not kept.
class ValueBuilder {
 public:
  ValueBuilder(const Place& place, OnElement on_element) : place_(place), on_element_(std::move(on_element)) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(std::int64_t value) { return add(value); }
  bool number_unsigned(std::uint64_t value) { return add(value); }
  bool number_float(double /*value*/, const std::string& written) { return add(number_of(written)); }
  bool string(std::string& value) { return add(value == not_a_number ? json() : json(std::move(value))); }
  bool binary(std::vector<std::uint8_t>& /*value*/) { return false; }
  bool start_object(std::size_t /*elements*/) { return open(json::object()); }
  bool start_array(std::size_t /*elements*/) { return open(json::array()); }
  bool key(std::string& name) {
    open_.back().key = std::move(name);
    return true;
  }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool parse_error(std::size_t read, const std::string& /*token*/, const json::exception& error) {
    fail_to_parse(place_, read, error);
  }

  const json& root() const { return root_; }
  bool has_list() const { return has_list_; }

 private:
  struct Open {
    json value;
    std::string key;
    bool is_list_of_elements = false;
  };

  bool open(json value) {
    require(open_.size() < most_nested, "{} has values that are nested more than {} deep: expected examples",
            place_.where, most_nested);
    const bool is_outermost = open_.empty();
    const bool is_named = open_.size() == 1 && open_.back().value.is_object() && is_list_name(open_.back().key);
    const bool is_list = on_element_ && value.is_array() && (is_outermost || is_named);
    require(!is_list || !has_list_, "{} has two lists of examples, the second named {}: expected one", place_.where,
            open_.empty() ? "" : open_.back().key);
    has_list_ = has_list_ || is_list;
    open_.push_back({std::move(value), {}, is_list});
    return true;
  }

  bool close() {
    json value = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(value));
  }

  bool add(json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (Open& parent = open_.back(); parent.is_list_of_elements) {
      on_element_(value, n_elements_++);
    } else if (parent.value.is_array()) {
      parent.value.push_back(std::move(value));
    } else {
      parent.value[parent.key] = std::move(value);
    }
    return true;
  }

  const Place& place_;
  OnElement on_element_;
  std::vector<Open> open_;
  json root_;
  std::size_t n_elements_ = 0;
  bool has_list_ = false;
};

json parse_value(const Place& place) {
  ValueBuilder builder(place, {});
  json::sax_parse(place.text, &builder);
  return builder.root();
}

// A list, an object with a list, or one element by itself.
void read_document(const Place& place, const OnElement& on_element) {
  ValueBuilder builder(place, on_element);
  json::sax_parse(place.text, &builder);
  if (builder.has_list()) return;
  require(builder.root().is_object(), "{} holds a {}: expected a list of examples, or one object a line", place.where,
          builder.root().type_name());
  on_element(builder.root(), 0);
}

void read_lines(Place place, const OnElement& on_element) {
  std::string_view text = place.text;
  std::size_t n = 0;
  for (; !text.empty(); ++place.first_line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    place.text = text.substr(0, end);
    if (!is_blank(place.text)) on_element(parse_value(place), n++);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// Whether the first line is a value by itself, with others behind it.
bool is_of_lines(const Place& place) {
  const std::size_t start = std::min(place.text.find_first_not_of(blanks), place.text.size());
  const std::size_t end = std::min(place.text.find('\n', start), place.text.size());
  return place.text.find_first_not_of(blanks, end) != place.text.npos &&
         json::accept(place.text.substr(start, end - start));
}

}  // namespace

MendedText read_elements(std::string bytes, const std::string& where, const OnElement& on_element) {
  std::string text = text_of_file(std::move(bytes), where);
  const MendedText mended{mend_json(text)};
  if (is_blank(text)) return mended;
  const Place place{text, 1, where};
  const bool is_list = text[text.find_first_not_of(blanks)] == '[';
  if (!is_list && is_of_lines(place)) {
    read_lines(place, on_element);
  } else {
    read_document(place, on_element);
  }
  return mended;
}

}  // namespace csreft
