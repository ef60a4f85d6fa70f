#include "experiments/tasks/elements.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/base/json_builder.h"
#include "core/base/whole_number.h"
#include "experiments/tasks/blank.h"
#include "experiments/tasks/container.h"

namespace csreft {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 5> list_names{"data", "train", "test", "validation", "examples"};

bool is_list_name(std::string_view key) { return std::ranges::find(list_names, key) != list_names.end(); }

struct Place {
  std::string_view text;
  std::int64_t first_line;  // on which the text starts, from 1
  const std::string& where;
};

[[noreturn]] void fail_to_parse(const Place& place, std::size_t bytes_read, const json::exception& error) {
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

// Numbers and strings become what OnElement says. With `on_element`, the elements of the outermost list, or of the list
// of the outermost object, are handed over one by one and not kept.
class ElementsBuilder : public JsonBuilder {
 public:
  ElementsBuilder(const Place& place, OnElement on_element)
      : JsonBuilder(place.where), place_(place), on_element_(std::move(on_element)) {}

  bool null() { return JsonBuilder::null() && hand_over(); }
  bool boolean(bool value) { return JsonBuilder::boolean(value) && hand_over(); }
  bool number_integer(std::int64_t value) { return JsonBuilder::number_integer(value) && hand_over(); }
  bool number_unsigned(std::uint64_t value) { return JsonBuilder::number_unsigned(value) && hand_over(); }
  bool number_float(double /*value*/, const std::string& written) { return add(number_of(written)) && hand_over(); }
  bool string(std::string& value) {
    return add(value == not_a_number ? json() : json(std::move(value))) && hand_over();
  }
  bool start_array(std::size_t elements) {
    const bool is_outermost = depth() == 0;
    const bool is_named = depth() == 1 && innermost().is_object() && is_list_name(key_);
    const bool begins_list = on_element_ && (is_outermost || is_named);
    require(!begins_list || !has_list_, "{} has two lists of examples, the second named {}: expected one", place_.where,
            key_);
    JsonBuilder::start_array(elements);
    if (begins_list) depth_of_list_ = depth();
    has_list_ = has_list_ || begins_list;
    return true;
  }
  bool key(std::string& name) {
    if (depth() == 1) key_ = name;
    return JsonBuilder::key(name);
  }
  bool end_object() { return JsonBuilder::end_object() && hand_over(); }
  bool end_array() {
    if (depth() == depth_of_list_) depth_of_list_ = 0;
    return JsonBuilder::end_array() && hand_over();
  }
  bool parse_error(std::size_t read, const std::string& /*token*/, const json::exception& error) {
    require(!is_out_of_range(error), "a number in {}, line {} or later, is out of range: expected finite numbers",
            place_.where, place_.first_line);
    fail_to_parse(place_, read, error);
  }

  bool has_list() const { return has_list_; }

 private:
  // After a value: if it is an element, it goes.
  bool hand_over() {
    if (depth_of_list_ == 0 || depth() != depth_of_list_) return true;
    json& list = innermost();
    on_element_(list.back(), n_elements_++);
    list.clear();
    return true;
  }

  const Place& place_;
  OnElement on_element_;
  std::string key_;                // of the outermost object, the last
  std::size_t depth_of_list_ = 0;  // of the list of elements, while it is open
  std::size_t n_elements_ = 0;
  bool has_list_ = false;
};

json parse_value(const Place& place) {
  ElementsBuilder builder(place, {});
  json::sax_parse(place.text, &builder);
  return builder.take();
}

// A list, an object with a list, or one element by itself.
void read_document(const Place& place, const OnElement& on_element) {
  ElementsBuilder builder(place, on_element);
  json::sax_parse(place.text, &builder);
  if (builder.has_list()) return;
  const json element = builder.take();
  require(element.is_object(), "{} holds a {}: expected a list of examples, or one object a line", place.where,
          element.type_name());
  on_element(element, 0);
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
