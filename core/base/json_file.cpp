#include "core/base/json_file.h"

#include "core/base/atomic_file.h"
#include "core/base/json_builder.h"

namespace csreft {
namespace {

class ObjectBuilder : public JsonBuilder {
 public:
  using JsonBuilder::JsonBuilder;

  bool key(std::string& name) {
    if (depth() == 1) require(!innermost().contains(name), "{}: `{}` appears twice", where(), name);
    return JsonBuilder::key(name);
  }
};

}  // namespace

nlohmann::json parse_json_object(std::string_view text, std::string_view where) {
  ObjectBuilder builder(where);
  nlohmann::json::sax_parse(text, &builder);
  nlohmann::json value = builder.take();
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
