// Builds a value from what nlohmann's parser of JSON reports (json::sax_parse). That parser's own building with a
// callback takes a time that grows with the square of a list of objects.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace csreft {

// sax_parse calls the members of the class that it is given: one that derives from this may have others in their place.
// They throw Error, in which `where` names what is parsed, for what is nested too deep and for what is no JSON.
class JsonBuilder {
 public:
  using Json = nlohmann::json;

  explicit JsonBuilder(std::string_view where) : where_(where) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(std::int64_t value) { return add(value); }
  bool number_unsigned(std::uint64_t value) { return add(value); }
  bool number_float(double value, const std::string& /*written*/) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(std::vector<std::uint8_t>& /*value*/) { return false; }
  bool start_object(std::size_t /*elements*/) { return open(Json::object()); }
  bool start_array(std::size_t /*elements*/) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    member_ = &(*open_.back())[name];
    return true;
  }
  bool parse_error(std::size_t read, const std::string& /*token*/, const Json::exception& error) {
    require(!is_out_of_range(error), "{} is not valid JSON: a number is out of range", where_);
    fail("{} is not valid JSON: syntax error at byte {}", where_, read);
  }

  Json take() { return std::move(root_); }

 protected:
  static bool is_out_of_range(const Json::exception& error) { return error.id == 406; }

  std::string_view where() const { return where_; }
  // Lists and objects that have begun and not ended, and the innermost of them.
  std::size_t depth() const { return open_.size(); }
  Json& innermost() { return *open_.back(); }

  bool add(Json value) {
    place(std::move(value));
    return true;
  }

 private:
  Json* place(Json value) {
    Json* at = &root_;
    if (!open_.empty()) at = open_.back()->is_array() ? &open_.back()->emplace_back() : member_;
    *at = std::move(value);
    return at;
  }
  bool open(Json value) {
    require(open_.size() < most_nested, "{} has values that are nested more than {} deep: expected less", where_,
            most_nested);
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  static constexpr std::size_t most_nested = 64;  // what walks through a value calls itself for each level

  std::string_view where_;
  Json root_;
  std::vector<Json*> open_;  // only the last one grows
  Json* member_ = nullptr;   // of the last object: the value of its last key
};

}  // namespace csreft
