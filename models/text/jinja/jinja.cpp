#include "models/text/jinja/jinja.h"

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "models/text/jinja/parser.h"
#include "models/text/jinja/run.h"

namespace csreft::jinja {
namespace {

Value to_value(const nlohmann::ordered_json& json) {
  switch (json.type()) {
    case nlohmann::ordered_json::value_t::boolean: return json.get<bool>();
    case nlohmann::ordered_json::value_t::number_integer:
    case nlohmann::ordered_json::value_t::number_unsigned: return json.get<std::int64_t>();
    case nlohmann::ordered_json::value_t::number_float: return json.get<double>();
    case nlohmann::ordered_json::value_t::string: return text(json.get<std::string>());
    case nlohmann::ordered_json::value_t::array: {
      std::vector<Value> items;
      for (const auto& item : json) items.push_back(to_value(item));
      return sequence(std::move(items));
    }
    case nlohmann::ordered_json::value_t::object: {
      std::vector<std::pair<Value, Value>> entries;
      for (const auto& [key, member] : json.items()) entries.emplace_back(text(key), to_value(member));
      return dict(std::move(entries));
    }
    default: return None{};
  }
}

}  // namespace

struct Template::Tree {
  Statements statements;
};

Template::Template(std::string_view source) {
  require(source.size() <= max_source_bytes, "it has {} bytes: expected at most {}", source.size(), max_source_bytes);
  tree_ = std::make_shared<const Tree>(Tree{parse(source)});
}

std::string Template::render(const nlohmann::ordered_json& variables, std::time_t now) const {
  std::vector<std::pair<std::string, Value>> values;
  for (const auto& [name, value] : variables.items()) values.emplace_back(name, to_value(value));
  return Run(now).render(tree_->statements, values);
}

}  // namespace csreft::jinja
