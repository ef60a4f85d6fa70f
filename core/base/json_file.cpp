#include "core/base/json_file.h"

#include <utility>
#include <vector>

#include "core/base/atomic_file.h"

namespace csreft {
namespace {

using nlohmann::json;

// Builds a value for nlohmann's parser, whose own building with a callback takes a time that grows with the square of a
// list of objects.
class ValueBuilder {
 public:
  explicit ValueBuilder(std::string_view where) : where_(where) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(std::int64_t value) { return add(value); }
  bool number_unsigned(std::uint64_t value) { return add(value); }
  bool number_float(double value, const std::string& /*written*/) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(std::vector<std::uint8_t>& /*value*/) { return false; }
  bool start_object(std::size_t /*elements*/) { return open(json::object()); }
  bool start_array(std::size_t /*elements*/) { return open(json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    if (open_.size() == 1) require(!open_.back()->contains(name), "{}: `{}` appears twice", where_, name);
    member_ = &(*open_.back())[name];
    return true;
  }
  bool parse_error(std::size_t read, const std::string& /*token*/, const json::exception& error) {
    constexpr int number_out_of_range = 406;
    require(error.id != number_out_of_range, "{} is not valid JSON: a number is out of range", where_);
    fail("{} is not valid JSON: syntax error at byte {}", where_, read);
  }

  json take() { return std::move(root_); }

 private:
  // Where the value lies that is added.
  json* add(json value, bool is_open) {
    json* place = &root_;
    if (!open_.empty() && open_.back()->is_array()) {
      place = &open_.back()->emplace_back();
    } else if (!open_.empty()) {
      place = member_;
    }
    *place = std::move(value);
    if (is_open) open_.push_back(place);
    return place;
  }
  bool add(json value) { return add(std::move(value), /*is_open=*/false) != nullptr; }
  bool open(json value) {
    require(open_.size() < most_nested, "{} has values that are nested more than {} deep: expected less", where_,
            most_nested);
    return add(std::move(value), /*is_open=*/true) != nullptr;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  static constexpr std::size_t most_nested = 64;  // what walks through a value calls itself for each level

  std::string_view where_;
  json root_;
  std::vector<json*> open_;  // lists and objects that have begun and not ended: only the last one grows
  json* member_ = nullptr;   // of the last object: the value of its last key
};

}  // namespace

nlohmann::json parse_json_object(std::string_view text, std::string_view where) {
  ValueBuilder builder(where);
  json::sax_parse(text, &builder);
  json value = builder.take();
  require(value.is_object(), "{} holds {}: expected a JSON object", where, value.type_name());
  return value;
}

nlohmann::json read_json_object(const std::filesystem::path& path) {
  return parse_json_object(read_text_file(path), path.string());
}

std::string first_difference(const nlohmann::json& was, const nlohmann::json& is) {
  nlohmann::json keys = was;
  keys.update(is);
  for (const auto& [key, unused] : keys.items()) {
    const auto there = was.find(key), here = is.find(key);
    const bool in_both = there != was.end() && here != is.end();
    if (in_both && *there == *here) continue;
    if (in_both && there->is_object() && here->is_object()) return key + "/" + first_difference(*there, *here);
    return fmt::format("{}: {} there, {} here", key, there != was.end() ? there->dump() : "nothing",
                       here != is.end() ? here->dump() : "nothing");
  }
  return "";
}

}  // namespace csreft
