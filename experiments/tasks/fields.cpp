#include "experiments/tasks/fields.h"

#include <algorithm>

#include "core/base/error.h"
#include "experiments/tasks/blank.h"

namespace csreft {

using nlohmann::json;

std::string kind_of(const json& value) {
  if (value.is_array()) return "a list";
  return value.is_object() ? "an object" : value.is_null() ? "null" : fmt::format("a {}", value.type_name());
}

std::string text_of(const json& value, std::string_view what) {
  if (value.is_null()) return "";
  if (value.is_string()) return value.get<std::string>();
  require(value.is_primitive(), "{} is {}: expected text", what, kind_of(value));
  return value.dump();
}

// A key that stands for another column is not this one's.
std::string Fields::key_of(std::string_view name) const {
  const auto renamed = std::ranges::find(reading_.fields, name, [](const auto& field) { return field.first; });
  if (renamed != reading_.fields.end()) return renamed->second;
  const auto is_taken = std::ranges::find(reading_.fields, name, [](const auto& field) { return field.second; });
  return is_taken != reading_.fields.end() ? "" : std::string(name);
}

const json* Fields::find(std::string_view name) const {
  const std::string key = key_of(name);
  const auto found = key.empty() ? element_.end() : element_.find(key);
  return found == element_.end() ? nullptr : &*found;
}

const json* Fields::value(std::string_view name) {
  const json* const found = find(name);
  if (found == nullptr) return nullptr;
  keys_read_.insert(key_of(name));
  return found->is_null() ? nullptr : found;
}

const json* Fields::list(std::string_view name) {
  const json* const found = value(name);
  const bool is_none = found != nullptr && found->is_string() && is_blank(found->get_ref<const std::string&>());
  return is_none ? nullptr : found;
}

bool Fields::answer_is_response() {
  const json* const choices = list("choices");
  return choices != nullptr && !choices->empty() && !is_blank(text("answer"));
}

std::string Fields::text(std::string_view name) {
  const json* const found = value(name);
  return found == nullptr ? "" : text_of(*found, fmt::format("\"{}\" in {}", key_of(name), where_));
}

}  // namespace csreft
