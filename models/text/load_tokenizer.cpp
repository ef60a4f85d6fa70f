#include "models/text/load_tokenizer.h"

#include "core/base/error.h"
#include "core/base/json_file.h"
#include "models/text/sentencepiece_tokenizer.h"
#include "models/text/tokenizer_json.h"
#include "models/text/tokenizer_settings.h"

namespace csreft {
namespace {

using Json = nlohmann::json;

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

}  // namespace

Tokenizer load_tokenizer_json(const std::filesystem::path& file) {
  return naming_file(file, [&] {
    const auto settings = read_tokenizer_settings(file.parent_path());
    return read_tokenizer_json(read_json_object(file), file.string(), settings);
  });
}

Tokenizer load_tokenizer(const std::filesystem::path& folder) {
  const auto json_file = folder / "tokenizer.json";
  const auto model_file = folder / "tokenizer.model";
  const bool has_model = std::filesystem::exists(model_file);
  require(has_model || std::filesystem::exists(json_file),
          "{}: no tokenizer: expected a file tokenizer.json or tokenizer.model", folder.string());
  if (!std::filesystem::exists(json_file)) return load_sentencepiece(model_file, read_tokenizer_settings(folder));
  return naming_file(json_file, [&] {
    const auto tokenizer = read_json_object(json_file);
    auto settings = read_tokenizer_settings(folder);
    if (!has_model || is_read_tokenizer_json(tokenizer)) {
      return read_tokenizer_json(tokenizer, json_file.string(), settings);
    }
    return load_sentencepiece(model_file, settings);
  });
}

}  // namespace csreft
