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
  // The same of a column of lists, where a blank text, which other kinds of files have for nothing, is none.
  const nlohmann::json* list(std::string_view name);
  // Whether the answer is the response of an element that has no other: where it is one of `choices`.
  bool answer_is_response();
  // Whether a conversation may end with the user's message, to be answered.
  bool may_be_question() { return outputs() == Outputs::optional || answer_is_response(); }
  // Says that the column is known, though nobody reads it.
  void set_aside(std::string_view name) { static_cast<void>(value(name)); }

  const std::string& where() const { return where_; }
  Outputs outputs() const { return reading_.outputs; }
  // The key that a column has in the file.
  std::string key_of(std::string_view name) const;
  // The keys that were asked for so far and are there.
  const std::set<std::string>& keys_read() const { return keys_read_; }
  // Keys of the messages within a column that nobody reads.
  void add_unread_key_of_message(const std::string& key) { unread_keys_of_messages_.insert(key); }
  const std::set<std::string>& unread_keys_of_messages() const { return unread_keys_of_messages_; }

 private:
  const nlohmann::json* find(std::string_view name) const;

  const nlohmann::json& element_;
  const DataReading& reading_;
  std::string where_;
  std::set<std::string> keys_read_, unread_keys_of_messages_;
};

}  // namespace csreft
