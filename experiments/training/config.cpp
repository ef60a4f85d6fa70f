#include "experiments/training/config.h"

#include "core/base/atomic_file.h"
#include "core/base/hash.h"
#include "core/base/json_file.h"
#include "core/base/threads.h"
#include "core/base/version.h"
#include "experiments/measure/bench_machine.h"
#include "experiments/tasks/read.h"

namespace csreft {

using nlohmann::json;

namespace {

json describe_files(const std::vector<std::string>& files) {
  json list = json::array();
  for (const auto& text : files) {
    const DataFile file = parse_data_file(text);
    const std::string contents = read_text_file(file.path);
    list.push_back({{"path", std::filesystem::absolute(file.path).lexically_normal().string()},
                    {"bytes", contents.size()},
                    {"fnv1a", fmt::format("{:016x}", fnv1a(contents))}});
    if (!file.name.empty()) list.back()["task"] = file.name;
  }
  return list;
}

// The same for tasks that no file holds.
json describe_tasks(std::span<const Task> tasks) {
  json list = json::array();
  for (const auto& task : tasks) {
    list.push_back({{"task", task.name},
                    {"examples", task.examples.size()},
                    {"fnv1a", fmt::format("{:016x}", content_hash(task))}});
  }
  return list;
}

json describe(const std::vector<std::string>& files, std::span<const Task> made) {
  return made.empty() ? describe_files(files) : describe_tasks(made);
}

// What computes a part of a run: keys of config.json.
json describe_part(const Device& device) {
  return {{"version", program_version()},
          {"commit", program_commit()},
          {"device", to_string(device)},
          {"hardware", hardware_name(device)},
          {"threads", threads()}};
}

json describe_run(std::string_view experiment, Arguments arguments, const LanguageModel& model,
                  const DataFiles& files) {
  json config{{"experiment", experiment},
              {"arguments", std::vector<std::string>(arguments.begin(), arguments.end())},
              {"model",
               {{"path", std::filesystem::absolute(model.path).lexically_normal().string()},
                {"name", model.name},
                {"hash", model.llama.fingerprint().text()}}},
              {"data",
               {{"train", describe(files.train, files.made_train)},
                {"test", describe(files.test, files.made_test)},
                {"validation", describe_files(files.validation)}}},
              {"started_in", std::filesystem::current_path().string()}};
  config.update(describe_part(model.llama.options().device));
  return config;
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
  json config = describe_run(experiment, arguments, model, files);
  config["method"] = to_json(method);
  config["train"] = to_json(train);
  return config.dump(2) + "\n";
}

std::string evaluation_config_text(Arguments arguments, const LanguageModel& model,
                                   const std::vector<std::string>& tests) {
  return describe_run("evaluate", arguments, model, {.train = {}, .test = tests, .validation = {}}).dump(2) + "\n";
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
  out.hardware = find_json<std::string>(config, "hardware", where).value_or("");
  out.threads = find_json<std::int64_t>(config, "threads", where).value_or(0);
  out.started_in = find_json<std::string>(config, "started_in", where).value_or("");
  if (config.contains("model") && config["model"].is_object()) {
    out.model_hash = find_json<std::string>(config["model"], "hash", where).value_or("");
  }
  out.method = parse_method_options(config["method"], where);
  out.train = parse_train_options(config["train"], where);
  return out;
}

std::vector<std::string> differences(const RunConfig& saved, const Device& device) {
  std::vector<std::string> lines;
  // A processor's saved name ends with a number of threads, which has a line of its own.
  const std::string chip = chip_name(device);
  if (!saved.hardware.empty() && saved.hardware != chip && !saved.hardware.starts_with(chip + ", ")) {
    lines.push_back(fmt::format("on {} where the run had {}, last bits may differ from those of a run in one go", chip,
                                saved.hardware));
  }
  if (saved.threads != 0 && saved.threads != threads()) {
    lines.push_back(fmt::format("with {} threads where the run had {}, last bits differ from those of a run in one go",
                                threads(), saved.threads));
  }
  return lines;
}

void continue_config(const std::filesystem::path& folder, const TrainOptions& train, const LanguageModel& model,
                     std::int64_t steps) {
  json config = read_json_object(folder / "config.json");
  const json now = describe_part(model.llama.options().device);
  json before = json::object();
  for (const auto& [key, value] : now.items()) {
    if (config.contains(key)) before[key] = config[key];
  }
  if (before != now && !before.empty()) {
    before["steps"] = steps;
    json& earlier = config["earlier_parts"];
    require(earlier.is_null() || earlier.is_array(), "{}: `earlier_parts` is {}: expected a list",
            (folder / "config.json").string(), earlier.type_name());
    earlier.push_back(std::move(before));
  }
  config.update(now);
  config["train"] = to_json(train);
  if (config.contains("model") && config["model"].is_object())
    config["model"]["hash"] = model.llama.fingerprint().text();
  write_file_atomically(folder / "config.json", config.dump(2) + "\n");
}

}  // namespace csreft
