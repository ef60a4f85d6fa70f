#include "experiments/training/flag_groups.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "core/base/split.h"
#include "core/base/threads.h"
#include "core/base/whole_number.h"
#include "experiments/cli/name_list.h"
#include "experiments/tasks/formats/format.h"
#include "reft/methods/sum.h"
#include "reft/presets.h"
#include "reft/router/router.h"
#include "reft/stiefel/manifold.h"

namespace csreft {

namespace {

// An option with its value as a shell must be given it: "--rank 4", "--no-tied".
std::string flag_with_value(const std::string& name, const nlohmann::json& value) {
  if (value.is_boolean()) return value.get<bool>() ? flag_of(name) : "--no-" + flag_of(name).substr(2);
  if (value.is_number_float()) return fmt::format("{} {:g}", flag_of(name), value.get<double>());
  return fmt::format("{} {}", flag_of(name), shell_quoted(value.is_string() ? value.get<std::string>() : value.dump()));
}

std::string preset_lines() {
  std::string lines;
  for (const auto& preset : presets()) {
    std::vector<std::string> flags;
    for (const auto& [name, value] : preset.method.values.items()) flags.push_back(flag_with_value(name, value));
    for (const auto& [name, value] : preset.train.items()) flags.push_back(flag_with_value(name, value));
    lines += fmt::format("\n  {} ({}): {}\n    ({})", preset.name, preset.method.method, preset.summary,
                         fmt::join(flags, " "));
  }
  return lines;
}

// The method that an option names: "lora" of "lora.rank"; empty if it names none.
std::string owner_of(std::string_view name) {
  const std::size_t dot = name.find('.');
  return std::string(name.substr(0, dot == name.npos ? 0 : dot));
}

// The methods that can be a part of a sum, as each names its options there.
std::unique_ptr<MethodSettings> settings_of_part(const std::string& method) { return sum_settings({method}); }

bool is_part(std::string_view method) {
  const auto found = std::ranges::find(methods(), method, &MethodEntry::name);
  return found != methods().end() && !(*found)->create()->trains_model();
}

// Throws Error for a value that no method which has the option can have.
void check_without_effect(const nlohmann::json& values) {
  for (const auto* entry : methods()) OptionFlags::check_values(*entry->create(), values);
  for (const auto& [name, value] : values.items()) {
    if (is_part(owner_of(name))) OptionFlags::check_values(*settings_of_part(owner_of(name)), values);
  }
}

// Tells of flags that were given and that the method has no use for.
void drop_unknown(MethodOptions& options, const nlohmann::json& given, std::vector<std::string>& notes) {
  const ReadOptions read = read_options(options);
  nlohmann::json without_effect = nlohmann::json::object();
  for (const auto& name : read.unknown) {
    if (given.contains(name)) {
      without_effect[name] = given[name];
      const std::string bare = owner_of(name) == options.method ? name.substr(options.method.size() + 1) : "";
      const bool has_bare = std::ranges::find(read.known, bare) != read.known.end();
      notes.push_back(fmt::format("{} has no effect on method {} as it is chosen here{}", flag_of(name), options.method,
                                  has_bare ? ": of a method by itself it is " + flag_of(bare) : ""));
    }
    options.values.erase(name);
  }
  check_without_effect(without_effect);
}

// Says which options a preset decides that was not asked for by name.
void note_preset(const Preset& preset, const MethodOptions& chosen, const nlohmann::json& given,
                 std::vector<std::string>& notes) {
  std::vector<std::string> decided, adapted;
  for (const auto& [name, value] : preset.method.values.items()) {
    if (given.contains(name) || !chosen.contains(name)) continue;
    (chosen.at(name) == value ? decided : adapted).push_back(flag_with_value(name, chosen.at(name)));
  }
  if (decided.empty()) return;
  notes.push_back(fmt::format("these flags suit preset {}, which decides the rest: {}{}{}", preset.name,
                              fmt::join(decided, " "), adapted.empty() ? "" : "; but they need ",
                              fmt::join(adapted, " ")));
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
  flags.add_path("--model", model, "a Hugging Face folder, a .gguf, a llama2.c .bin, or smollm2 (the default model)",
                 "MODEL");
  flags.add("--chat-template", chat_template,
            "the form of prompts: " + names_of(chat_templates()) +
                ", or a file in Jinja; empty: the model's own template, or what its tokenizer calls for");
  flags.add("--system", system, "a system message in front of every prompt");
  flags.add(
      "--weights", weights,
      "products with frozen weights: f32 (of large models in bf16 or quantised, the file's own bytes are multiplied); "
      "bf16 (at most half the memory; faster where the processor multiplies bf16); or tf32 (f32 whose products are "
      "TF32's, with 10 bits of the fraction: faster, on cuda alone)");
  flags.add("--device", device, "where to compute: cpu, cuda, or cuda:N (in a build with CUDA)");
  flags.add("--threads", threads, "threads to use; 0: one for each processor");
  flags.add_switch("--quiet", quiet, "no progress on stderr");
}

void ModelFlags::check() const {
  require(weights == "f32" || weights == "bf16" || weights == "tf32",
          "unknown weights '{}': expected f32, bf16 or tf32", weights);
  const Device where = parse_device(device);
  require(weights != "tf32" || where.type == DeviceType::cuda,
          "--weights tf32 needs --device cuda: the processor has no TF32, expected f32 or bf16");
  if (!chat_template.empty()) static_cast<void>(open_chat_template(chat_template, {}));
}

LanguageModel ModelFlags::load(bool trainable, bool tells_template) const {
  start_threads(threads);
  check();
  const Device where = parse_device(device);
  require(!trainable || weights == "f32", "--weights {} cannot be trained: expected f32", weights);
  const Weights held = trainable           ? Weights::trainable
                       : weights == "bf16" ? Weights::frozen_bf16
                       : weights == "tf32" ? Weights::frozen_tf32
                                           : Weights::frozen;
  LanguageModel loaded = load_language_model(model_path(model), chat_template, held, where);
  std::string own = system.empty() ? own_system_message(*loaded.chat).substr(0, 100) : "";
  std::ranges::replace(own, '\n', ' ');
  if (!own.empty()) {
    fmt::print(stderr,
               "note: the chat template puts a system message of its own in front, '{}': --system replaces it\n",
               printable(own));
  }
  if (quiet || !tells_template || model == default_model) loaded.template_note.clear();
  if (!quiet) {
    for (const auto& note : loaded.notes) fmt::print(stderr, "note: {}\n", note);
  }
  return loaded;
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
  std::vector<std::string> parts;
  const auto add_part = [&](const std::string& part) {
    if (is_part(part) && std::ranges::find(parts, part) == parts.end()) parts.push_back(part);
  };
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    constexpr std::string_view flag = "--method";
    std::string value = i > 0 && arguments[i - 1] == flag ? arguments[i] : "";
    if (arguments[i].starts_with("--method=")) value = arguments[i].substr(flag.size() + 1);
    if (value.find('+') != std::string::npos) std::ranges::for_each(parts_of_sum(value), add_part);
    if (arguments[i].starts_with("--")) add_part(owner_of(std::string_view(arguments[i]).substr(2)));
  }
  for (const auto& part : parts) options_.describe(*settings_of_part(part), "sum");
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
  const bool unasked = followed != nullptr && preset.empty() && followed != suitable_preset({choice.method.method});
  if (followed != nullptr) {
    choice.method = with_preset(*followed, choice.method);
    choice.train = followed->train;
  }
  drop_unknown(choice.method, given, choice.notes);
  if (unasked) note_preset(*followed, choice.method, given, choice.notes);
  name_tasks(choice.method, tasks);
  if (!preset.empty()) {
    std::vector<std::string> departing;
    for (const auto& [name, value] : followed->method.values.items()) {
      if (choice.method.contains(name) && choice.method.at(name) != value) departing.push_back(flag_of(name));
    }
    if (!departing.empty()) {
      choice.notes.push_back(fmt::format("{} of this run {} not as preset {} has {}", fmt::join(departing, ", "),
                                         departing.size() > 1 ? "are" : "is", preset,
                                         departing.size() > 1 ? "them" : "it"));
    }
  }
  return choice;
}

void TrainFlags::add_to(Flags& flags, TrainOptions& defaults, std::initializer_list<std::string_view> without) {
  options_.describe(defaults, "training");
  for (const auto name : without) options_.leave_out(name);
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
  TrainOptions all_entries = defaults;
  nlohmann::json without_effect = nlohmann::json::object();
  for (const auto& name : reader.unknown()) without_effect[name] = values[name];
  OptionFlags::check_values(all_entries, without_effect);
  if (notes != nullptr) {
    for (const auto& name : reader.unknown()) {
      notes->push_back(fmt::format("{} has no effect on optimizer {}", flag_of(name), out.optimizer.name()));
    }
  }
  return out;
}

bool trains_model(const MethodOptions& options) { return configure(options)->trains_model(); }

void add_test_limit(Flags& flags, std::int64_t& limit) {
  flags.add("--tests,--limit", limit, "test examples of each task, the first of its file; 0: all");
  flags.hide("--limit");
}

void check_test_limit(std::int64_t limit) {
  require(limit >= 0, "--tests {} is not possible: expected 0 (all) or more", limit);
}

void add_generation_flags(Flags& flags, GenerationOptions& options) {
  flags.group("Generation");
  flags.add("--max-new-tokens", options.max_new_tokens, "tokens of the longest answer");
  flags.add("--temperature", options.sampling.temperature,
            "of the softmax that tokens are drawn from; 0: always the most probable token");
  flags.add("--top-k", options.sampling.top_k, "draw from the k most probable tokens; 0: all");
  flags.add("--top-p", options.sampling.top_p, "draw from the most probable tokens of this total probability");
  flags.add("--seed", options.sampling.seed, "seed of the draws");
}

void DataFlags::add_to(Flags& flags, bool with_task_column) {
  flags.add_list("--field", fields,
                 "a column that has another name in the files, as output=answer: our name, then their key; as often as "
                 "there are such columns",
                 "NAME=KEY");
  if (!with_task_column) return;
  flags.add(
      "--task-column", task_column,
      "the key that tells the task of each element, where a file holds several tasks; empty: each file is a task");
}

DataReading DataFlags::reading(Outputs outputs) const {
  return {.fields = parse_field_names(fields), .task_column = task_column, .outputs = outputs};
}

void tell_template(const LanguageModel& model) {
  if (!model.template_note.empty()) fmt::print(stderr, "note: {}\n", model.template_note);
}

void print_notes(std::span<const std::string> notes) {
  for (const auto& note : notes) fmt::print("note: {}\n", note);
  std::fflush(stdout);
}

void add_metric_flag(Flags& flags, EvaluationOptions& evaluation) {
  flags.add("--metric", evaluation.metric,
            "how test data are scored; empty: by accuracy where each example has an answer, else by nll:" +
                summaries_of(score_metrics()));
}

void check_metric(const EvaluationOptions& evaluation) {
  if (!evaluation.metric.empty()) static_cast<void>(find_metric(evaluation.metric));
}

std::string data_help(std::string_view what) {
  std::vector<std::string> forms;
  for (const auto* format : data_formats()) forms.push_back(fmt::format("{{{}}}", format->keys));
  return fmt::format("{}: JSON or JSON lines of {}, in gzip or not; NAME=FILE names the task", what,
                     fmt::join(forms, ", "));
}

void SizeFlags::add_to(Flags& flags, EvaluationOptions& evaluation) {
  flags.add(
      "--examples", examples,
      "training examples of each task, the first of its file: a number, or one a task as 400,200,100,50; empty: all");
  add_test_limit(flags, evaluation.max_examples);
}

void SizeFlags::apply(std::vector<Task>& train, const EvaluationOptions& evaluation) const {
  check_test_limit(evaluation.max_examples);
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
