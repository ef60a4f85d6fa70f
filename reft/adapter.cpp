#include "reft/adapter.h"

#include "core/base/atomic_file.h"
#include "core/base/folder.h"
#include "core/base/json_file.h"
#include "reft/adapters/peft.h"

namespace csreft {
namespace {

using nlohmann::json;

constexpr std::int64_t format_version = 2;
constexpr const char* file_name = "adapter.json";

json base_model(const LanguageModel& model) {
  const LlamaConfig& c = model.llama.config();
  return {{"name", model.name},
          {"hidden_size", c.hidden_size},
          {"layers", c.n_layers},
          {"vocabulary", c.vocab_size},
          {"fingerprint", model.llama.fingerprint().text()}};
}

// Names differ from machine to machine; sizes and weights must not.
void check_base_model(const json& saved, const LanguageModel& model, const std::string& where) {
  const json own = base_model(model);
  require(saved.is_object(), "{}: `base_model` is {}: expected an object", where, saved.type_name());
  const std::string name = find_json<std::string>(saved, "name", where).value_or("?");
  const auto is_own = [&](const char* key) {
    const json& value = saved[key];
    return value.is_string() ? model.llama.fingerprint().is(value.get<std::string>()) : value == own[key];
  };
  for (const char* key : {"hidden_size", "layers", "vocabulary", "fingerprint"}) {
    require(saved.contains(key), "{}: the base model has no '{}'", where, key);
    require(is_own(key),
            "{} belongs to another model ({}): its {} is {}, that of {} is {}; expected --model with the one it was "
            "trained on",
            where, name, key, saved[key].dump(), model.name, own[key].dump());
  }
}

// Of an adapter that Python's peft has written: nothing is known of prompts and of the model.
AdapterDescription peft_description(const std::filesystem::path& folder) {
  const auto file = folder / "adapter_config.json";
  const json config = read_json_object(file);
  AdapterDescription out{.method = {"lora"}, .context = {}, .base_model = nullptr};
  for (const auto& [ours, theirs] : {std::pair{"rank", "r"}, {"lora_alpha", "lora_alpha"}, {"rslora", "use_rslora"}}) {
    if (config.contains(theirs)) out.method[ours] = config[theirs];
  }
  return out;
}

}  // namespace

json to_json(const MethodOptions& options) {
  json out = options.values;
  out["method"] = options.method;
  return out;
}

MethodOptions parse_method_options(const json& saved, const std::string& where) {
  require(saved.is_object(), "{}: the method's options are not an object", where);
  MethodOptions options{get_json<std::string>(saved, "method", where), saved};
  options.values.erase("method");
  return options;
}

void save_adapter(const std::filesystem::path& folder, const Method& method, const LanguageModel& model,
                  const AdapterContext& context) {
  make_folder(folder);
  method.save(folder, model);
  const json description{{"format", "csreft"},
                         {"version", format_version},
                         {"base_model", base_model(model)},
                         {"method", to_json(method.options())},
                         {"chat_template", context.chat_template},
                         {"system", context.system}};
  write_file_atomically(folder / file_name, description.dump(2) + "\n");
}

std::filesystem::path adapter_folder(const std::filesystem::path& folder) {
  const auto holds_adapter = [](const std::filesystem::path& place) {
    return std::filesystem::exists(place / file_name) || is_peft_folder(place);
  };
  const auto within = folder / "adapter";
  return !holds_adapter(folder) && holds_adapter(within) ? within : folder;
}

AdapterDescription read_adapter_description(const std::filesystem::path& folder) {
  require(std::filesystem::is_directory(folder),
          "adapter folder {} does not exist: expected the folder of a run, such as runs/NAME, or the adapter/ in it",
          folder.string());
  const std::filesystem::path file = folder / file_name;
  const std::string where = file.string();
  if (!std::filesystem::exists(file) && is_peft_folder(folder)) return peft_description(folder);
  require(
      std::filesystem::exists(file),
      "{} is not an adapter: it has no {}; expected the folder of a run, such as runs/NAME, the adapter/ in it, or a "
      "LoRA of Python's peft",
      folder.string(), file_name);
  const json description = read_json_object(file);
  const auto format = get_json<std::string>(description, "format", where);
  require(format == "csreft", "{}: format '{}' is unknown: expected csreft", where, format);
  const auto version = get_json<std::int64_t>(description, "version", where);
  require(version == format_version, "{}: version {} is not supported: expected {}", where, version, format_version);
  for (const char* key : {"base_model", "method"}) {
    require(description.contains(key), "{}: `{}` is missing: expected an object", where, key);
  }
  return {
      parse_method_options(description["method"], where),
      {get_json<std::string>(description, "chat_template", where), get_json<std::string>(description, "system", where)},
      description["base_model"]};
}

std::unique_ptr<Method> load_adapter(const std::filesystem::path& folder, const AdapterDescription& description,
                                     const LanguageModel& model) {
  const std::string where = (folder / file_name).string();
  if (!description.base_model.is_null()) check_base_model(description.base_model, model, where);
  auto method = create_method(description.method, model.llama, /*seed=*/0, where + ": ");
  method->load(folder);
  return method;
}

std::string unknown_model_note(const std::filesystem::path& folder, const std::string& model) {
  return fmt::format("{} does not say which weights it was trained on: it is used with {}", folder.string(), model);
}

}  // namespace csreft
