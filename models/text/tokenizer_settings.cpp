#include "models/text/tokenizer_settings.h"

#include <array>
#include <map>
#include <set>
#include <utility>

#include "core/base/error.h"
#include "core/base/json_file.h"
#include "core/base/whole_number.h"

namespace csreft {
namespace {

using Json = nlohmann::json;

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
  if (!token.content.empty()) settings.added.push_back({.token = token, .has_id = false, .file = file});
}

// bos_token, eos_token and their kin, by which a token is special. `other` has been read before: its keys count.
void read_special_tokens(const Json& object, const Json& other, const std::string& file, TokenizerSettings& settings) {
  const auto find = [&](const char* key) {
    const auto before = other.find(key);
    return before == other.end() || before->is_null() ? object.find(key) : object.end();
  };
  for (const char* key : special_token_keys()) {
    if (const auto found = find(key); found != object.end()) read_special_token(*found, file, settings);
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const auto found = find(key);
    if (found == object.end() || !found->is_structured()) continue;
    for (const auto& token : *found) read_special_token(token, file, settings);
  }
  for (auto [key, named] : {std::pair("bos_token", &settings.bos), std::pair("eos_token", &settings.eos)}) {
    const auto content = find_special_token(object, key, file);
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
      settings.added.push_back({.token = read_added_token(description, *id, file), .replaces = true, .file = file});
    }
  }
  settings.add_bos = find_json<bool>(config, "add_bos_token", file);
  settings.legacy = find_json<bool>(config, "legacy", file).value_or(true);
  read_special_tokens(config, Json::object(), file, settings);
}

}  // namespace

std::span<const char* const> special_token_keys() {
  static constexpr std::array keys{"bos_token", "eos_token", "unk_token", "sep_token",
                                   "pad_token", "cls_token", "mask_token"};
  return keys;
}

std::optional<std::string> find_special_token(const Json& object, const char* key, const std::string& file) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null() || *found == Json(false) || *found == Json("")) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  require(found->is_object(), "{}: `{}` is {}: expected a token's text or description", file, key, found->type_name());
  return get_json<std::string>(*found, "content", file + ": " + key);
}

TokenizerSettings read_tokenizer_settings(const std::filesystem::path& folder) {
  TokenizerSettings settings;
  const auto read = [&](const char* name) {
    const auto path = folder / name;
    return std::pair(std::filesystem::exists(path) ? read_json_object(path) : Json::object(), path.string());
  };
  const auto [config, config_file] = read("tokenizer_config.json");
  read_config(config, config_file, settings);
  const auto [map, map_file] = read("special_tokens_map.json");
  read_special_tokens(map, config, map_file, settings);
  const auto [added, added_file] = read("added_tokens.json");
  for (const auto& [content, id] : added.items()) {
    settings.added.push_back(
        {.token = {.content = content, .id = read_token_id(id, content, added_file)}, .file = added_file});
  }
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

std::string note_of_other_id(std::string_view file, const AddedToken& token, std::int32_t known) {
  return fmt::format("{}: the added token '{}' has id {}, and {} in the vocabulary, which counts", file,
                     printable(token.content), token.id, known);
}

namespace {

// The tokens of the settings on their way into `added` and `table`.
class Adding {
 public:
  Adding(const FindToken& find, std::vector<AddedToken>& added, TokenTable& table)
      : find_(find), added_(added), table_(table) {
    for (std::size_t i = 0; i < added.size(); ++i) places_.emplace(added[i].content, i);
  }

  std::optional<std::int32_t> id_of(std::string_view content) const {
    const auto place = places_.find(content);
    return place != places_.end() ? std::optional(added_[place->second].id) : find_(content);
  }

  // Whether add() gave it the next id.
  bool is_new(const std::string& content) const { return new_.contains(content); }

  // With the id that the vocabulary has for it, its own, or the next one.
  void add(const TokenizerSettings::Token& setting) {
    AddedToken token = setting.token;
    const auto known = id_of(token.content);
    if (known && setting.has_id && *known != token.id) {
      table_.notes.push_back(note_of_other_id(setting.file, token, *known));
    }
    if (known) token.id = *known;
    if (!known && !setting.has_id) {
      token.id = static_cast<std::int32_t>(table_.text.size());
      new_.insert(token.content);
    }
    put_added_token(token, table_);
    const auto [place, is_first] = places_.emplace(token.content, added_.size());
    if (is_first) {
      added_.push_back(std::move(token));
    } else if (setting.replaces) {
      added_[place->second] = std::move(token);
    }
  }

 private:
  const FindToken& find_;
  std::vector<AddedToken>& added_;
  TokenTable& table_;
  std::map<std::string, std::size_t, std::less<>> places_;  // in `added`, by content
  std::set<std::string> new_;
};

}  // namespace

void apply_settings(const TokenizerSettings& settings, const FindToken& find, std::vector<AddedToken>& added,
                    TokenTable& table) {
  Adding adding(find, added, table);
  for (const bool has_id : {true, false}) {
    for (const auto& setting : settings.added) {
      if (setting.has_id == has_id) adding.add(setting);
    }
  }
  const auto set = [&](const std::optional<TokenizerSettings::Named>& name, std::optional<std::int32_t>& id) {
    if (!name) return;
    id = adding.id_of(name->content);
    if (!adding.is_new(name->content)) return;
    table.notes.push_back(fmt::format("{}: {} '{}' is not in the vocabulary: it gets the next id, {}", name->file,
                                      name->key, printable(name->content), id.value()));
  };
  set(settings.bos, table.bos);
  set(settings.eos, table.eos);
  if (settings.add_bos) table.add_bos = *settings.add_bos;
}

}  // namespace csreft
