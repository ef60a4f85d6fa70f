#include "models/text/tokenizer_settings.h"

#include "core/base/error.h"
#include "core/base/json_file.h"
#include "core/base/whole_number.h"

namespace csreft {
namespace {

using Json = nlohmann::json;

// A token is named by its content or described as an added token is; nothing for null, false and "".
std::optional<std::string> content_of(const Json& object, const char* key, const std::string& file) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null() || *found == Json(false) || *found == Json("")) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  require(found->is_object(), "{}: `{}` is {}: expected a token's text or description", file, key, found->type_name());
  return get_json<std::string>(*found, "content", file + ": " + key);
}

void read_special_token(const Json& named, const std::string& file, TokenizerSettings& settings) {
  AddedToken token;
  if (named.is_string()) {
    token.content = named.get<std::string>();
  } else if (named.is_object()) {
    token = read_added_token(named, 0, file);
  } else {
    return;
  }
  token.special = true;
  if (!token.content.empty()) settings.added.push_back({token, false, file});
}

// bos_token, eos_token and their kin, by which a token is special.
void read_special_tokens(const Json& object, const std::string& file, TokenizerSettings& settings) {
  for (const char* key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    if (const auto found = object.find(key); found != object.end()) read_special_token(*found, file, settings);
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_structured()) continue;
    for (const auto& token : *found) read_special_token(token, file, settings);
  }
  for (auto [key, named] : {std::pair("bos_token", &settings.bos), std::pair("eos_token", &settings.eos)}) {
    const auto content = content_of(object, key, file);
    if (content && !*named) *named = {*content, key, file};
  }
}

void read_config(const Json& config, const std::string& file, TokenizerSettings& settings) {
  if (const auto decoder = config.find("added_tokens_decoder"); decoder != config.end() && !decoder->is_null()) {
    require(decoder->is_object(), "{}: `added_tokens_decoder` is {}: expected {{id: token}}", file,
            decoder->type_name());
    for (const auto& [key, description] : decoder->items()) {
      const auto id = parse_whole_number<std::int32_t>(key);
      require(id && *id >= 0 && *id <= max_token_id, "{}: added_tokens_decoder has the id '{}': expected 0 to {}", file,
              printable(key), max_token_id);
      settings.added.push_back({read_added_token(description, *id, file), true, file});
    }
  }
  settings.add_bos = find_json<bool>(config, "add_bos_token", file);
  settings.legacy = find_json<bool>(config, "legacy", file).value_or(true);
  read_special_tokens(config, file, settings);
}

}  // namespace

TokenizerSettings read_tokenizer_settings(const std::filesystem::path& folder) {
  TokenizerSettings settings;
  const auto read = [&](const char* name, auto use) {
    const auto path = folder / name;
    if (std::filesystem::exists(path)) use(read_json_object(path), path.string(), settings);
  };
  read("tokenizer_config.json", read_config);
  read("special_tokens_map.json", read_special_tokens);
  read("added_tokens.json", [](const Json& tokens, const std::string& file, TokenizerSettings& into) {
    for (const auto& [content, id] : tokens.items()) {
      into.added.push_back({{.content = content, .id = read_token_id(id, content, file)}, true, file});
    }
  });
  return settings;
}

std::int32_t read_token_id(const Json& id, std::string_view token, std::string_view where) {
  const auto value = id.is_number_integer() ? id.get<std::int64_t>() : -1;
  if (value < 0 || value > max_token_id) {
    fail("{}: token '{}' has id {}: expected 0 to {}", where, printable(token), printable(id.dump()), max_token_id);
  }
  return static_cast<std::int32_t>(value);
}

AddedToken read_added_token(const Json& object, std::int32_t id, std::string_view where) {
  require(object.is_object(), "{}: an added token is {}: expected {{\"content\": TEXT, \"special\": ..}}", where,
          object.type_name());
  const auto flag = [&](const char* key) { return find_json<bool>(object, key, where).value_or(false); };
  return {.content = get_json<std::string>(object, "content", where),
          .id = id,
          .special = flag("special"),
          .single_word = flag("single_word"),
          .lstrip = flag("lstrip"),
          .rstrip = flag("rstrip"),
          .normalized = flag("normalized")};
}

void put_added_token(const AddedToken& token, TokenTable& table) {
  const auto index = static_cast<std::size_t>(token.id);
  if (index >= table.text.size()) {
    table.text.resize(index + 1);
    table.special.resize(index + 1);
  }
  table.text[index] = token.content;
  table.special[index] = table.special[index] || token.special;
}

void apply_settings(const TokenizerSettings& settings, const FindToken& find, std::vector<AddedToken>& added,
                    TokenTable& table) {
  std::map<std::string, std::int32_t, std::less<>> named;
  const auto id_of = [&](const std::string& content) {
    const auto known = named.find(content);
    return known != named.end() ? std::optional(known->second) : find(content);
  };
  const auto add = [&](AddedToken token) {
    named.emplace(token.content, token.id);
    put_added_token(token, table);
    added.push_back(std::move(token));
  };
  for (const auto& [token, has_id, file] : settings.added) {
    if (!has_id) continue;
    const auto known = id_of(token.content);
    require(!known || *known == token.id, "{}: token '{}' has id {}, and {} in the vocabulary: expected one", file,
            printable(token.content), token.id, known.value_or(0));
    add(token);
  }
  for (auto [token, has_id, file] : settings.added) {
    const auto known = has_id ? std::nullopt : id_of(token.content);
    if (!known) continue;
    token.id = *known;
    add(token);
  }
  const auto set = [&](const std::optional<TokenizerSettings::Named>& name, std::optional<std::int32_t>& id) {
    if (!name) return;
    id = id_of(name->content);
    require(id.has_value(), "{}: {} '{}' is not in the vocabulary: expected one of its {} tokens", name->file,
            name->key, printable(name->content), table.text.size());
  };
  set(settings.bos, table.bos);
  set(settings.eos, table.eos);
  if (settings.add_bos) table.add_bos = *settings.add_bos;
}

}  // namespace csreft
