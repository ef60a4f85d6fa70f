#include "experiments/training/config.h"

#include "core/base/atomic_file.h"
#include "core/base/hash.h"
#include "core/base/json_file.h"
#include "core/base/threads.h"
#include "core/base/version.h"
#include "experiments/measure/bench_machine.h"

namespace csreft {

using nlohmann::json;

namespace {

json describe_files(const std::vector<std::string>& files) {
  json list = json::array();
  for (const auto& file : files) {
    const std::string contents = read_text_file(file);
    list.push_back({{"path", std::filesystem::absolute(file).lexically_normal().string()},
                    {"bytes", contents.size()},
                    {"fnv1a", fmt::format("{:016x}", fnv1a(contents))}});
  }
  return list;
}

}  // namespace

json to_json(const TrainOptions& options) {
  TrainOptions described = options;
  json out = options_json(described);
  out["system"] = options.system;
  return out;
}

TrainOptions parse_train_options(json saved, const std::string& where) {
  require(saved.is_object(), "{}: the training options are not an object", where);
  TrainOptions options;
  options.system = find_json<std::string>(saved, "system", where).value_or("");
  saved.erase("system");
  set_options(options, saved, where + ": ");
  return options;
}

std::string config_text(std::string_view experiment, Arguments arguments, const MethodOptions& method,
                        const TrainOptions& train, const LanguageModel& model, const DataFiles& files) {
  const Device device = model.llama.options().device;
  const json config{{"experiment", experiment},
                    {"arguments", std::vector<std::string>(arguments.begin(), arguments.end())},
                    {"method", to_json(method)},
                    {"train", to_json(train)},
                    {"version", program_version()},
                    {"commit", program_commit()},
                    {"model",
                     {{"path", std::filesystem::absolute(model.path).lexically_normal().string()},
                      {"name", model.name},
                      {"hash", fmt::format("{:016x}", model.llama.fingerprint())}}},
                    {"data",
                     {{"train", describe_files(files.train)},
                      {"test", describe_files(files.test)},
                      {"validation", describe_files(files.validation)}}},
                    {"device", to_string(device)},
                    {"hardware", hardware_name(device)},
                    {"threads", threads()},
                    {"started_in", std::filesystem::current_path().string()}};
  return config.dump(2) + "\n";
}

RunConfig read_config(const std::filesystem::path& folder, std::string_view experiment) {
  const auto file = folder / "config.json";
  const json config = read_json_object(file);
  const std::string where = file.string();
  const auto kind = get_json<std::string>(config, "experiment", where);
  require(kind == experiment, "{} is a run of {}, expected one of {}", folder.string(), kind, experiment);
  for (const char* key : {"arguments", "method", "train"}) {
    require(config.contains(key), "{}: `{}` is missing", where, key);
  }
  RunConfig out;
  try {
    out.arguments = config["arguments"].get<std::vector<std::string>>();
  } catch (const json::exception&) {
    fail("{}: `arguments` is not a list of strings", where);
  }
  out.threads = find_json<std::int64_t>(config, "threads", where).value_or(0);
  out.started_in = find_json<std::string>(config, "started_in", where).value_or("");
  if (config.contains("model") && config["model"].is_object()) {
    out.model_hash = find_json<std::string>(config["model"], "hash", where).value_or("");
  }
  out.method = parse_method_options(config["method"], where);
  out.train = parse_train_options(config["train"], where);
  return out;
}

void rewrite_train_options(const std::filesystem::path& folder, const TrainOptions& train) {
  json config = read_json_object(folder / "config.json");
  config["train"] = to_json(train);
  write_file_atomically(folder / "config.json", config.dump(2) + "\n");
}

}  // namespace csreft
