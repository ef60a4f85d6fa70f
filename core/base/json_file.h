// JSON from files that may be wrong: every Error names the file and the key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace csreft {

// The JSON object that `text` spells. Throws Error, beginning with `where`, for text that is not UTF-8 or not JSON, for
// another value than an object, for a key that appears twice in it, and for values that are nested more than 64 deep.
nlohmann::json parse_json_object(std::string_view text, std::string_view where);
nlohmann::json read_json_object(const std::filesystem::path& path);

// Where two objects first differ, as "lr: 0.004 there, 0.01 here" or "train/a/n: 4 there, nothing here", `was` being
// there; empty where they are equal.
std::string first_difference(const nlohmann::json& was, const nlohmann::json& is);

namespace detail {

template <typename T>
bool json_holds(const nlohmann::json& value) {
  if constexpr (std::is_same_v<T, bool>) return value.is_boolean();
  if constexpr (std::is_same_v<T, std::string>) return value.is_string();
  if constexpr (std::is_same_v<T, double>) return value.is_number();
  if constexpr (std::is_same_v<T, std::uint64_t>) return value.is_number_unsigned();
  if constexpr (std::is_same_v<T, std::int64_t>) {
    return value.is_number_integer() &&
           (!value.is_number_unsigned() || value.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max());
  }
}

template <typename T>
constexpr std::string_view json_name() {
  static_assert(std::is_same_v<T, bool> || std::is_same_v<T, std::string> || std::is_same_v<T, double> ||
                std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::uint64_t>);
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_same_v<T, std::string>) return "a string";
  if constexpr (std::is_same_v<T, double>) return "a number";
  if constexpr (std::is_same_v<T, std::uint64_t>) return "an integer of 0 or more";
  return "an integer";
}

}  // namespace detail

// The value of `key`, of type bool, int64_t, uint64_t, double (integers count as numbers) or string; nothing if the key
// is missing or null. Throws Error for a value of another type.
template <typename T>
std::optional<T> find_json(const nlohmann::json& object, const std::string& key, std::string_view where) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::nullopt;
  require(detail::json_holds<T>(*found), "{}: `{}` is {}: expected {}", where, key, found->type_name(),
          detail::json_name<T>());
  return found->get<T>();
}

// The same; a missing key is an Error too.
template <typename T>
T get_json(const nlohmann::json& object, const std::string& key, std::string_view where) {
  auto value = find_json<T>(object, key, where);
  require(value.has_value(), "{}: `{}` is missing: expected {}", where, key, detail::json_name<T>());
  return *std::move(value);
}

}  // namespace csreft
