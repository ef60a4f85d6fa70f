// The columns of one element of a file of data, under the names that formats have for them.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "experiments/tasks/reading.h"

namespace csreft {

// "a number" for what JSON calls number.
std::string kind_of(const nlohmann::json& value);

// Text as it is; numbers and truth values as they are written; "" for null. Throws Error, beginning with what `what`
// calls the value, for a list or an object.
std::string text_of(const nlohmann::json& value, std::string_view what);

class Fields {
 public:
  // `element` is an object. `where` names it in errors: "element 3 of a.json".
  Fields(const nlohmann::json& element, const DataReading& reading, std::string where)
      : element_(element), reading_(reading), where_(std::move(where)) {}

  // Whether the element has the column, empty or not.
  bool has(std::string_view name) const { return find(name) != nullptr; }
  // "" where the column is empty or not there. Throws Error for a value that is no text.
  std::string text(std::string_view name);
  // Null where the column is empty or not there.
  const nlohmann::json* value(std::string_view name);
  // Says that the column is known, though nobody reads it.
  void set_aside(std::string_view name) { static_cast<void>(value(name)); }

  const std::string& where() const { return where_; }
  Outputs outputs() const { return reading_.outputs; }
  // The key that a column has in the file.
  std::string key_of(std::string_view name) const;
  // The keys that were asked for so far and are there.
  const std::set<std::string>& keys_read() const { return keys_read_; }

 private:
  const nlohmann::json* find(std::string_view name) const;

  const nlohmann::json& element_;
  const DataReading& reading_;
  std::string where_;
  std::set<std::string> keys_read_;
};

}  // namespace csreft
