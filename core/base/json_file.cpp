#include "core/base/json_file.h"

#include <set>

#include "core/base/atomic_file.h"

namespace csreft {
namespace {

constexpr int most_nested = 64;  // what walks through a value calls itself for each level

}  // namespace

nlohmann::json parse_json_object(std::string_view text, std::string_view where) {
  std::set<std::string> keys;
  const auto check = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    require(depth <= most_nested, "{} has values that are nested more than {} deep: expected less", where, most_nested);
    if (depth == 1 && event == nlohmann::json::parse_event_t::key) {
      require(keys.insert(value.get<std::string>()).second, "{}: `{}` appears twice", where, value.get<std::string>());
    }
    return true;
  };
  nlohmann::json value;
  try {
    value = nlohmann::json::parse(text, check);
  } catch (const nlohmann::json::parse_error& error) {
    fail("{} is not valid JSON: syntax error at byte {}", where, error.byte);
  } catch (const nlohmann::json::exception&) {
    fail("{} is not valid JSON: a number is out of range", where);
  }
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
