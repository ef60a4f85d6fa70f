#include "experiments/training/flag_groups.h"

#include <algorithm>
#include <cstdlib>

#include "core/base/split.h"
#include "core/base/threads.h"
#include "core/base/whole_number.h"
#include "experiments/cli/name_list.h"
#include "reft/presets.h"
#include "reft/router/router.h"
#include "reft/stiefel/manifold.h"

namespace csreft {

namespace {

std::string preset_lines() {
  std::string lines;
  for (const auto& preset : presets()) {
    std::vector<std::string> flags;
    const auto add = [&](const nlohmann::json& options) {
      for (const auto& [name, value] : options.items()) {
        if (value.is_boolean()) {
          flags.push_back(value.get<bool>() ? flag_of(name) : "--no-" + flag_of(name).substr(2));
        } else {
          const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
          flags.push_back(fmt::format("{} {}", flag_of(name), shell_quoted(text)));
        }
      }
    };
    add(preset.method.values);
    add(preset.train);
    lines += fmt::format("\n  {} ({}): {}\n    ({})", preset.name, preset.method.method, preset.summary,
                         fmt::join(flags, " "));
  }
  return lines;
}

// Tells of flags that were given and that the method has no use for.
void drop_unknown(MethodOptions& options, const nlohmann::json& given, std::vector<std::string>& notes) {
  for (const auto& name : read_options(options).unknown) {
    if (given.contains(name)) {
      notes.push_back(fmt::format("{} has no effect on method {} as it is chosen here", flag_of(name), options.method));
    }
    options.values.erase(name);
  }
}

// "tasks", or "csreft.tasks" in a sum.
bool is_tasks(const std::string& name) { return name == "tasks" || name.ends_with(".tasks"); }

void name_tasks(MethodOptions& options, std::span<const Task> tasks) {
  if (options.contains("tasks")) return;
  const auto known = read_options(options).known;
  if (std::ranges::any_of(known, is_tasks)) options["tasks"] = task_stems(tasks);
}

}  // namespace

std::filesystem::path model_path(const std::string& model) {
  if (model != default_model) return model;
  const char* file = std::getenv("CSREFT_SMOLLM2");
  require(file != nullptr && *file != '\0',
          "the default model smollm2 is not here: expected its file in the variable CSREFT_SMOLLM2, which ./run and a "
          "bundle set");
  require(std::filesystem::exists(file), "the default model smollm2 is not at {}: expected its file there, or {}", file,
          "CSREFT_SMOLLM2=FILE, or another by --model");
  return file;
}

void ModelFlags::add_to(Flags& flags) {
  flags.group("Model");
  flags.add("--model", model, "a Hugging Face folder, a .gguf, a llama2.c .bin, or smollm2 (the default model)");
  flags.add("--chat-template", chat_template,
            "the form of prompts: " + names_of(chat_templates()) + "; empty: what the model's files call for");
  flags.add("--system", system, "a system message in front of every prompt");
  flags.add(
      "--weights", weights,
      "frozen weights: f32; bf16 (half the memory; faster where the processor multiplies bf16); or tf32 (f32 whose "
      "products are TF32's, with 10 bits of the fraction: faster, on cuda alone)");
  flags.add("--device", device, "where to compute: cpu, cuda, or cuda:N (in a build with CUDA)");
  flags.add("--threads", threads, "threads to use; 0: one for each processor");
  flags.add_switch("--quiet", quiet, "no progress on stderr");
}

LanguageModel ModelFlags::load(bool trainable) const {
  set_threads(threads);
  require(weights == "f32" || weights == "bf16" || weights == "tf32",
          "unknown weights '{}': expected f32, bf16 or tf32", weights);
  const Device where = parse_device(device);
  require(weights != "tf32" || where.type == DeviceType::cuda,
          "--weights tf32 needs --device cuda: the processor has no TF32, expected f32 or bf16");
  require(!trainable || weights == "f32", "--weights {} cannot be trained: expected f32", weights);
  const Weights held = trainable           ? Weights::trainable
                       : weights == "bf16" ? Weights::frozen_bf16
                       : weights == "tf32" ? Weights::frozen_tf32
                                           : Weights::frozen;
  return load_language_model(model_path(model), chat_template, held, where);
}

void MethodFlags::add_to(Flags& flags, Arguments arguments) {
  flags.group("Method");
  flags.add(
      "--method", method,
      "what is trained, or several at once as lora+loreft (their flags then are --lora.rank, --loreft.rank; --rank is "
      "of each that has one):" +
          summaries_of(methods()));
  flags.add("--preset", preset,
            "settings that belong together; empty: what suits the method and its other flags" + preset_lines());
  std::map<std::string, std::string> headings{{"sum", "Parts of the sum"}};
  for (const auto* entry : methods()) {
    const std::string name(entry->name);
    options_.describe(*entry->create(), name);
    if (!headings.contains(name)) headings[name] = "Method " + name;
  }
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    constexpr std::string_view flag = "--method";
    std::string value = i > 0 && arguments[i - 1] == flag ? arguments[i] : "";
    if (arguments[i].starts_with("--method=")) value = arguments[i].substr(flag.size() + 1);
    if (value.find('+') != std::string::npos) options_.describe(*read_options({value, {}}).settings, "sum");
  }
  options_.add_to(flags, "Method", headings);
}

MethodChoice MethodFlags::chosen(const Flags& flags, std::span<const Task> tasks) const {
  const nlohmann::json given = options_.given();
  MethodChoice choice{.method = {method, given}};
  const Preset* followed = suitable_preset(choice.method);
  if (!preset.empty()) {
    followed = &find_preset(preset);
    if (!flags.given("--method")) choice.method.method = followed->method.method;
    require(choice.method.method == followed->method.method, "preset {} is of method {}: expected no --method {}",
            preset, followed->method.method, method);
  }
  if (followed != nullptr && preset.empty() && followed != suitable_preset({choice.method.method})) {
    choice.notes.push_back(
        fmt::format("these flags suit preset {}, which is followed otherwise: {}", followed->name, followed->summary));
  }
  if (followed != nullptr) {
    choice.method = with_preset(*followed, choice.method);
    choice.train = followed->train;
  }
  drop_unknown(choice.method, given, choice.notes);
  name_tasks(choice.method, tasks);
  if (!preset.empty()) {
    std::vector<std::string> departing;
    for (const auto& [name, value] : followed->method.values.items()) {
      if (given.contains(name) && given[name] != value) departing.push_back(flag_of(name));
    }
    if (!departing.empty()) {
      choice.notes.push_back(fmt::format("{} of this run {} not as preset {} has {}: the run's preset is called custom",
                                         fmt::join(departing, ", "), departing.size() > 1 ? "are" : "is", preset,
                                         departing.size() > 1 ? "them" : "it"));
    }
  }
  return choice;
}

void TrainFlags::add_to(Flags& flags, TrainOptions& defaults) {
  options_.describe(defaults, "training");
  options_.add_to(flags, "Training");
}

TrainOptions TrainFlags::chosen(const TrainOptions& defaults, const nlohmann::json& preset,
                                std::vector<std::string>* notes) const {
  TrainOptions out = defaults;
  nlohmann::json values = preset;
  values.update(options_.given());
  OptionReader reader(values, "");
  Options visited(reader);
  out.describe(visited);
  if (notes != nullptr) {
    for (const auto& name : reader.unknown()) {
      notes->push_back(fmt::format("{} has no effect on optimizer {}", flag_of(name), out.optimizer.name()));
    }
  }
  return out;
}

bool trains_model(const MethodOptions& options) { return configure(options)->trains_model(); }

void SizeFlags::add_to(Flags& flags, EvaluationOptions& evaluation) {
  flags.add(
      "--examples", examples,
      "training examples of each task, the first of its file: a number, or one a task as 400,200,100,50; empty: all");
  flags.add("--tests", evaluation.max_examples, "test examples of each task, the first of its file; 0: all");
}

void SizeFlags::apply(std::vector<Task>& train, const EvaluationOptions& evaluation) const {
  require(evaluation.max_examples >= 0, "--tests {} is not possible: expected 0 (all) or more",
          evaluation.max_examples);
  if (examples.empty()) return;
  const auto parts = split(examples);
  require(parts.size() == 1 || parts.size() == train.size(),
          "--examples {} has {} numbers for {} tasks: expected one, or one for each", examples, parts.size(),
          train.size());
  for (std::size_t t = 0; t < train.size(); ++t) {
    const std::size_t n = parse_whole_number<std::size_t>(parts[parts.size() == 1 ? 0 : t]).value_or(0);
    require(n >= 1, "--examples '{}' is not understood: expected numbers of 1 or more such as 250 or 400,200,100,50",
            examples);
    if (train[t].examples.size() > n) train[t].examples.resize(n);
  }
}

}  // namespace csreft
