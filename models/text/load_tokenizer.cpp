#include "models/text/load_tokenizer.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/json_file.h"
#include "models/text/byte_level_bpe.h"
#include "models/text/sentencepiece_tokenizer.h"

namespace csreft {
namespace {

using Json = nlohmann::json;

const Json& member(const Json& object, const char* key, const std::string& where) {
  require(object.is_object() && object.contains(key), "{}: expected a member '{}'", where, key);
  return object[key];
}

// False for a member that is missing, null, false or an empty string.
bool is_set(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && !found->is_null() && *found != Json(false) && *found != Json("");
}

std::string type_name(const Json& object) { return object.is_object() ? object.value("type", "") : ""; }

// The elements of a "Sequence" whose list is under `list`, or the one that stands for itself; none for null.
std::vector<Json> sequence(const Json& component, const char* list, const std::string& where) {
  if (component.is_null()) return {};
  if (type_name(component) != "Sequence") return {component};
  return member(component, list, where).get<std::vector<Json>>();
}

bool is_byte_level_bpe(const Json& tokenizer, const std::string& file) {
  const auto model = tokenizer.find("model");
  const auto steps = sequence(tokenizer.value("pre_tokenizer", Json()), "pretokenizers", file);
  return model != tokenizer.end() && type_name(*model) == "BPE" &&
         std::any_of(steps.begin(), steps.end(), [](const Json& step) { return type_name(step) == "ByteLevel"; });
}

SplitStep read_split_step(const Json& step, const std::string& file) {
  const auto type = type_name(step);
  if (type == "Digits") return {member(step, "individual_digits", file).get<bool>() ? "\\p{N}" : "\\p{N}+"};
  if (type == "ByteLevel") {
    const bool add_prefix_space = member(step, "add_prefix_space", file).get<bool>();
    return {step.value("use_regex", true) ? gpt2_pattern : "", add_prefix_space};
  }
  require(type == "Split", "{}: pre_tokenizer '{}' is not supported: expected Digits, ByteLevel or Split", file,
          printable(type));
  const auto& behavior = member(step, "behavior", file);
  require(behavior == "Isolated" && !is_set(step, "invert"),
          "{}: pre_tokenizer Split with behavior {} and invert {} is not supported: expected \"Isolated\" and false",
          file, behavior.dump(), step.value("invert", Json()).dump());
  const auto& pattern = member(step, "pattern", file);
  require(pattern.contains("Regex"), "{}: pre_tokenizer Split by {} is not supported: expected a Regex", file,
          pattern.dump());
  return {pattern["Regex"].get<std::string>()};
}

// Throws Error unless the settings that would change the ids are off.
void require_unset(const Json& object, std::initializer_list<const char*> keys, const std::string& where) {
  for (const char* key : keys) {
    require(!is_set(object, key), "{}: {} {} is not supported: expected none", where, key,
            object.value(key, Json()).dump());
  }
}

// Fills tokens and types from model.vocab and added_tokens, whose ids together must be 0 to n-1.
void read_tokens(const Json& tokenizer, BpeVocabulary& vocabulary) {
  const auto& file = vocabulary.source;
  const auto& vocab = member(member(tokenizer, "model", file), "vocab", file);
  require(vocab.is_object(), "{}: model.vocab is no object: expected {{token: id}}", file);
  const auto added_tokens = tokenizer.value("added_tokens", Json::array());

  std::vector<std::pair<std::string, std::int64_t>> entries;
  for (const auto& [token, id] : vocab.items()) entries.emplace_back(token, id.get<std::int64_t>());
  for (const auto& added : added_tokens) {
    const auto content = member(added, "content", file).get<std::string>();
    const auto id = member(added, "id", file).get<std::int64_t>();
    require_unset(added, {"single_word", "lstrip", "rstrip"},
                  fmt::format("{}: added token '{}'", file, printable(content)));
    const auto in_vocab = vocab.value(content, Json(id));
    require(in_vocab == id, "{}: token '{}' has id {} in the vocabulary and {} in added_tokens: expected one", file,
            printable(content), in_vocab.dump(), id);
    if (!vocab.contains(content)) entries.emplace_back(content, id);
  }

  vocabulary.tokens.resize(entries.size());
  vocabulary.types.assign(entries.size(), TokenType::normal);
  std::vector<bool> taken(entries.size());
  for (auto& [token, id] : entries) {
    const auto index = static_cast<std::size_t>(id);
    if (index >= entries.size()) {
      fail("{}: token '{}' has id {}: expected 0 to {}, as there are {} tokens", file, printable(token), id,
           entries.size() - 1, entries.size());
    }
    if (taken[index]) {
      fail("{}: tokens '{}' and '{}' both have id {}: expected one token an id", file,
           printable(vocabulary.tokens[index]), printable(token), id);
    }
    taken[index] = true;
    vocabulary.tokens[index] = std::move(token);
  }
  for (const auto& added : added_tokens) {
    const bool special = member(added, "special", file).get<bool>();
    vocabulary.types[added["id"].get<std::size_t>()] = special ? TokenType::control : TokenType::user_defined;
  }
}

// Merges are strings "a b" or, in newer files, pairs ["a", "b"].
std::string read_merge(const Json& merge, const std::string& file) {
  if (merge.is_string()) return merge.get<std::string>();
  require(merge.is_array() && merge.size() == 2, "{}: merge {} is no pair: expected \"a b\" or [\"a\", \"b\"]", file,
          merge.dump());
  return merge[0].get<std::string>() + " " + merge[1].get<std::string>();
}

// The id of the token that object[key] names by its text or by an added token's description; none if it is not set.
std::optional<std::int32_t> read_token_id(const Json& object, const char* key, const BpeVocabulary& vocabulary,
                                          const std::filesystem::path& file) {
  if (!is_set(object, key)) return std::nullopt;
  const auto& named = object[key].is_object() ? member(object[key], "content", file.string()) : object[key];
  const auto token = named.get<std::string>();
  const auto found = std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), token);
  require(found != vocabulary.tokens.end(), "{}: {} '{}' is not in the vocabulary: expected one of its {} tokens",
          file.string(), key, printable(token), vocabulary.tokens.size());
  return static_cast<std::int32_t>(found - vocabulary.tokens.begin());
}

// Runs `read`, which throws the JSON library's errors where a member has another type than expected.
template <typename Read>
auto naming_file(const std::filesystem::path& file, Read read) {
  try {
    return read();
  } catch (const Json::exception& error) {
    const std::string_view what = error.what();
    fail("{}: {}: expected the layout of a Hugging Face tokenizer", file.string(), what.substr(what.find("] ") + 2));
  }
}

// A post-processor that puts a token in front of every text names BOS.
void read_post_processor(const Json& tokenizer, const std::filesystem::path& file, BpeVocabulary& vocabulary) {
  for (const auto& step : sequence(tokenizer.value("post_processor", Json()), "processors", vocabulary.source)) {
    if (type_name(step) != "TemplateProcessing") continue;
    const auto& single = member(step, "single", vocabulary.source);
    if (single.empty() || !single[0].contains("SpecialToken")) continue;
    vocabulary.bos = read_token_id(single[0]["SpecialToken"], "id", vocabulary, file);
    vocabulary.add_bos = vocabulary.bos.has_value();
  }
}

void read_tokenizer_config(const std::filesystem::path& file, BpeVocabulary& vocabulary) {
  if (!std::filesystem::exists(file)) return;
  const auto config = read_json_object(file);
  if (const auto bos = read_token_id(config, "bos_token", vocabulary, file)) vocabulary.bos = bos;
  vocabulary.eos = read_token_id(config, "eos_token", vocabulary, file);
  if (config.contains("add_bos_token")) vocabulary.add_bos = is_set(config, "add_bos_token");
}

Tokenizer read_tokenizer_json(const Json& tokenizer, const std::filesystem::path& file) {
  BpeVocabulary vocabulary;
  vocabulary.source = file.string();
  const auto& model = member(tokenizer, "model", vocabulary.source);
  require(is_byte_level_bpe(tokenizer, vocabulary.source),
          "{}: model type '{}' with pre_tokenizer {} is not supported: expected BPE with ByteLevel", vocabulary.source,
          printable(type_name(model)), tokenizer.value("pre_tokenizer", Json()).dump().substr(0, 80));
  require_unset(tokenizer, {"normalizer"}, vocabulary.source);
  require_unset(model, {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback"},
                vocabulary.source);
  read_tokens(tokenizer, vocabulary);
  for (const auto& merge : member(model, "merges", vocabulary.source)) {
    vocabulary.merges.push_back(read_merge(merge, vocabulary.source));
  }
  vocabulary.ignore_merges = is_set(model, "ignore_merges");
  vocabulary.unknown = read_token_id(model, "unk_token", vocabulary, file);
  for (const auto& step : sequence(tokenizer["pre_tokenizer"], "pretokenizers", vocabulary.source)) {
    vocabulary.pre_tokenizer.push_back(read_split_step(step, vocabulary.source));
  }
  read_post_processor(tokenizer, file, vocabulary);
  const auto config_file = file.parent_path() / "tokenizer_config.json";
  naming_file(config_file, [&] { read_tokenizer_config(config_file, vocabulary); });
  return make_bpe_tokenizer(vocabulary);
}

}  // namespace

Tokenizer load_tokenizer_json(const std::filesystem::path& file) {
  return naming_file(file, [&] { return read_tokenizer_json(read_json_object(file), file); });
}

Tokenizer load_tokenizer(const std::filesystem::path& folder) {
  const auto json_file = folder / "tokenizer.json";
  const auto model_file = folder / "tokenizer.model";
  const bool has_model = std::filesystem::exists(model_file);
  require(has_model || std::filesystem::exists(json_file),
          "{}: no tokenizer: expected a file tokenizer.json or tokenizer.model", folder.string());
  if (!std::filesystem::exists(json_file)) return load_sentencepiece(model_file);
  const auto tokenizer = read_json_object(json_file);
  return naming_file(json_file, [&] {
    const bool use_model = has_model && !is_byte_level_bpe(tokenizer, json_file.string());
    return use_model ? load_sentencepiece(model_file) : read_tokenizer_json(tokenizer, json_file);
  });
}

}  // namespace csreft
