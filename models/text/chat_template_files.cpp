#include "models/text/chat_template_files.h"

#include <nlohmann/json.hpp>

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/json_file.h"
#include "models/text/tokenizer_settings.h"

namespace csreft {
namespace {

using Json = nlohmann::json;

// The text named "default" in a list of {name, template}.
std::string default_of(const Json& list, const std::string& where) {
  for (const auto& entry : list) {
    require(entry.is_object(), "{}: `chat_template` holds {}: expected objects", where, entry.type_name());
    if (get_json<std::string>(entry, "name", where) == "default")
      return get_json<std::string>(entry, "template", where);
  }
  fail("{}: `chat_template` has no 'default': expected a text, or a list of templates with one of that name", where);
}

// The text of a folder of named templates, where there is no other.
std::string read_additional(const std::filesystem::path& folder) {
  const auto named = folder / "additional_chat_templates";
  if (const auto file = named / "default.jinja"; std::filesystem::exists(file)) return read_text_file(file);
  if (!std::filesystem::is_directory(named)) return "";
  for (const auto& entry : std::filesystem::directory_iterator(named)) {
    require(entry.path().extension() != ".jinja",
            "{} has no default.jinja: expected one, or the file to use by --chat-template {}", named.string(),
            entry.path().string());
  }
  return "";
}

void add_tokens(const std::filesystem::path& file, SpecialTokens& tokens) {
  if (!std::filesystem::exists(file)) return;
  const Json config = read_json_object(file);
  for (const char* name : special_token_keys()) {
    if (tokens.contains(name)) continue;
    if (const auto content = find_special_token(config, name, file.string())) tokens[name] = *content;
  }
}

}  // namespace

std::string read_chat_template(const std::filesystem::path& folder) {
  if (const auto file = folder / "chat_template.jinja"; std::filesystem::exists(file)) return read_text_file(file);
  const auto path = folder / "tokenizer_config.json";
  if (!std::filesystem::exists(path)) return read_additional(folder);
  const auto config = read_json_object(path);
  const auto found = config.find("chat_template");
  if (found != config.end() && found->is_array()) return default_of(*found, path.string());
  const auto text = find_json<std::string>(config, "chat_template", path.string());
  return text ? *text : read_additional(folder);
}

SpecialTokens read_special_tokens(const std::filesystem::path& folder) {
  SpecialTokens tokens;
  add_tokens(folder / "tokenizer_config.json", tokens);
  add_tokens(folder / "special_tokens_map.json", tokens);
  return tokens;
}

}  // namespace csreft
