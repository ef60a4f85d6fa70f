#include "reft/adapter.h"

#include <nlohmann/json.hpp>

#include "core/base/atomic_file.h"
#include "core/base/folder.h"
#include "core/base/json_file.h"
#include "core/tensor/safetensors.h"

namespace csreft {
namespace {

using nlohmann::json;

constexpr std::int64_t format_version = 1;

// Calls visit(key, member) for every option: the one list from which both directions are made.
template <typename Options, typename Visit>
void for_each_option(Options& o, Visit&& visit) {
  visit("method", o.method);
  visit("layers", o.layers);
  visit("rank", o.rank);
  visit("positions", o.positions);
  visit("tied", o.tied);
  visit("subspaces", o.subspaces);
  visit("joint", o.joint);
  visit("router_input", o.router_input);
  visit("router_layer", o.router_layer);
  visit("router_hidden", o.router_hidden);
  visit("router_norm", o.router_norm);
  visit("router_start", o.router_start);
  visit("gate", o.gate);
  visit("penalty", o.penalty);
  visit("lambda", o.lambda);
  visit("tasks", o.tasks);
  visit("lora_alpha", o.lora_alpha);
  visit("targets", o.targets);
}

json base_model(const LanguageModel& model) {
  const LlamaConfig& c = model.llama.config();
  return {{"name", model.name},
          {"hidden_size", c.hidden_size},
          {"layers", c.n_layers},
          {"vocabulary", c.vocab_size},
          {"fingerprint", fmt::format("{:016x}", model.llama.fingerprint())}};
}

// Names differ from machine to machine; sizes and weights must not.
void check_base_model(const json& saved, const LanguageModel& model, const std::string& where) {
  const json own = base_model(model);
  require(saved.is_object(), "{}: `base_model` is {}: expected an object", where, saved.type_name());
  const std::string name = find_json<std::string>(saved, "name", where).value_or("?");
  for (const char* key : {"hidden_size", "layers", "vocabulary", "fingerprint"}) {
    require(saved.contains(key), "{}: the base model has no '{}'", where, key);
    require(saved[key] == own[key], "{} belongs to another model ({}): its {} is {}, that of {} is {}", where, name,
            key, saved[key].dump(), model.name, own[key].dump());
  }
}

std::vector<std::pair<std::string, Tensor>> named_tensors(const Method& method) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& p : method.parameters()) tensors.emplace_back(p.name, p.value.value());
  for (const auto& buffer : method.buffers()) tensors.push_back(buffer);
  return tensors;
}

template <typename T>
void read_option(const json& saved, const char* key, const std::string& where, T& value) {
  value = get_json<T>(saved, key, where);
}

template <typename T>
void read_option(const json& saved, const char* key, const std::string& where, std::vector<T>& value) {
  require(saved[key].is_array(), "{}: `{}` is {}: expected a list", where, key, saved[key].type_name());
  value.clear();
  for (const auto& element : saved[key]) value.push_back(get_json<T>(json{{key, element}}, key, where));
}

}  // namespace

json to_json(const MethodOptions& options) {
  json out;
  for_each_option(options, [&](const char* key, const auto& value) { out[key] = value; });
  return out;
}

MethodOptions parse_method_options(const json& saved, const std::string& where) {
  require(saved.is_object(), "{}: the method's options are not an object", where);
  MethodOptions options;
  json known = json::object();
  for_each_option(options, [&](const char* key, auto& value) {
    if (saved.contains(key)) read_option(saved, key, where, value);
    known[key] = true;
  });
  for (const auto& [key, value] : saved.items()) require(known.contains(key), "{}: option '{}' is unknown", where, key);
  return options;
}

void save_adapter(const std::filesystem::path& folder, const Method& method, const LanguageModel& model,
                  const AdapterContext& context) {
  make_folder(folder);
  save_safetensors(folder / "adapter.safetensors", named_tensors(method), {{"format", "csreft"}});
  const json description{{"format", "csreft"},
                         {"version", format_version},
                         {"base_model", base_model(model)},
                         {"method", to_json(method.options())},
                         {"chat_template", context.chat_template},
                         {"system", context.system}};
  write_file_atomically(folder / "adapter.json", description.dump(2) + "\n");
}

void load_values(const Method& method, const SafeTensors& file, const std::string& where) {
  const auto tensors = named_tensors(method);
  for (const auto& [name, value] : tensors) {
    require(file.contains(name), "{}: tensor '{}' is missing", where, name);
    require(file.shape(name) == value.shape(), "{}: tensor '{}' has shape {}, expected {}", where, name,
            file.shape(name).str(), value.shape().str());
  }
  require(file.names().size() == tensors.size(), "{} holds {} tensors, expected {}", where, file.names().size(),
          tensors.size());
  for (const auto& [name, value] : tensors) ops::copy_(value, file.get(name).to(value.dtype()));
}

LoadedAdapter load_adapter(const std::filesystem::path& folder, const LanguageModel& model) {
  const std::filesystem::path description_file = folder / "adapter.json";
  const std::string where = description_file.string();
  require(std::filesystem::is_directory(folder),
          "adapter folder {} does not exist: expected the folder that a run has written, such as runs/NAME/adapter",
          folder.string());
  const json description = read_json_object(description_file);
  const auto format = get_json<std::string>(description, "format", where);
  require(format == "csreft", "{}: format '{}' is unknown: expected csreft", where, format);
  const auto version = get_json<std::int64_t>(description, "version", where);
  require(version == format_version, "{}: version {} is not supported: expected {}", where, version, format_version);
  for (const char* key : {"base_model", "method"}) {
    require(description.contains(key), "{}: `{}` is missing: expected an object", where, key);
  }
  check_base_model(description["base_model"], model, where);

  LoadedAdapter loaded;
  loaded.method = create_method(parse_method_options(description["method"], where), model.llama.config(), /*seed=*/0,
                                model.llama.options());
  loaded.context = {get_json<std::string>(description, "chat_template", where),
                    get_json<std::string>(description, "system", where)};
  const auto file = SafeTensors::open(folder / "adapter.safetensors");
  load_values(*loaded.method, file, file.path().string());
  return loaded;
}

}  // namespace csreft
