#include "experiments/training/adapted_model.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include <CLI/CLI.hpp>

#include "core/base/nearest.h"
#include "core/base/split.h"
#include "experiments/training/run_list.h"
#include "reft/adapter.h"

namespace csreft {
namespace {

struct NamedFolder {
  std::string name;
  std::filesystem::path path;
};

// "NAME=FOLDER" or "FOLDER", which is its own name. The folder of a run serves as well as the adapter in it.
NamedFolder named_folder(const std::string& text) {
  NamedFolder out{text, text};
  const std::size_t equals = text.find('=');
  if (equals != std::string::npos && !std::filesystem::exists(text)) {
    out = {text.substr(0, equals), text.substr(equals + 1)};
  }
  out.path = adapter_folder(out.path);
  return out;
}

std::vector<double> parse_alpha(const std::string& text) {
  std::vector<double> alpha;
  if (text.empty()) return alpha;
  for (const auto& part : split(text)) {
    double value = 0.0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    require(error == std::errc() && end == part.data() + part.size() && std::isfinite(value),
            "--alpha '{}' is not understood: expected numbers such as 1,0,0.5,0", text);
    alpha.push_back(value);
  }
  return alpha;
}

struct Folders {
  std::vector<NamedFolder> folders;
  std::vector<AdapterDescription> descriptions;
};

Folders read_descriptions(const std::vector<std::string>& texts) {
  Folders out;
  for (const auto& text : texts) {
    NamedFolder folder = named_folder(text);
    require(std::ranges::find(out.folders, folder.name, &NamedFolder::name) == out.folders.end(),
            "two adapters are named {}: expected NAME=FOLDER with another name", folder.name);
    out.descriptions.push_back(read_adapter_description(folder.path));
    out.folders.push_back(std::move(folder));
  }
  return out;
}

// A method that trains the model itself has left a whole model, which takes the place of --model.
ModelFlags model_of(const ModelFlags& flags, bool model_given, const Folders& read) {
  ModelFlags out = flags;
  for (std::size_t i = 0; i < read.folders.size(); ++i) {
    if (!trains_model(read.descriptions[i].method)) continue;
    require(read.folders.size() == 1, "adapter {} is a whole model: expected it alone", read.folders[i].name);
    require(!model_given, "adapter {} is a whole model: expected no --model beside it", read.folders[i].name);
    out.model = read.folders[i].path.string();
  }
  return out;
}

std::vector<std::size_t> in_use(const std::string& use, const std::vector<NamedAdapter>& adapters) {
  std::vector<std::size_t> chosen;
  if (use.empty()) {
    for (std::size_t i = 0; i < adapters.size(); ++i) chosen.push_back(i);
    return chosen;
  }
  const AdapterSet all(adapters, {}, {});
  for (const auto& name : split(use)) chosen.push_back(all.find(name));
  return chosen;
}

}  // namespace

void AdapterFlags::add_to(Flags& flags) {
  flags
      .add_list(
          "--adapter", adapters,
          "the folder of a run, of its adapter/ or of a peft LoRA, or NAME=FOLDER; `last`: that of the newest run "
          "in runs/; several are added to each other; none: the model as it is",
          "FOLDER")
      ->transform([](const std::string& text) { return resolve_last(text); });
  flags.add("--use", use, "names of those adapters, separated by commas, that are in use; empty: all");
  flags.add("--alpha", alpha, "gates to use in place of the router's, as 1,0,0.5,0; empty: the router's");
  flags.add("--scale", scale, "factor on every edit and update");
  flags.add("--task", task, "the prompts' task, for an adapter whose gates are decided by it");
}

void AdapterFlags::check() const {
  static_cast<void>(parse_alpha(alpha));
  require(std::isfinite(scale), "--scale is not a number: expected one such as 0.8");
}

AdaptedModel::AdaptedModel(const ModelFlags& model_flags, const AdapterFlags& adapter_flags, const Flags& flags)
    : model{[&] {
        model_flags.check();
        adapter_flags.check();
        const Folders read = read_descriptions(adapter_flags.adapters);
        const bool has_template = !read.folders.empty() && !read.descriptions.front().context.chat_template.empty();
        return model_of(model_flags, flags.given("--model"), read).load(/*trainable=*/false, !has_template);
      }()},
      system(model_flags.system) {
  const Folders read = read_descriptions(adapter_flags.adapters);
  if (read.folders.empty()) {
    for (const char* flag : {"--task", "--alpha", "--scale", "--use"}) {
      require(!flags.given(flag), "{} has no effect: expected --adapter FOLDER beside it", flag);
    }
    return;
  }
  for (const auto& folder : read.folders) folders.push_back(folder.path);
  const AdapterContext& context = read.descriptions.front().context;
  for (std::size_t i = 1; i < read.descriptions.size(); ++i) {
    const AdapterContext& other = read.descriptions[i].context;
    require((flags.given("--chat-template") || other.chat_template == context.chat_template) &&
                (flags.given("--system") || other.system == context.system),
            "adapters {} and {} were trained with prompts of other forms: expected --chat-template and --system to say "
            "which",
            read.folders.front().name, read.folders[i].name);
  }
  if (!flags.given("--chat-template") && !context.chat_template.empty() &&
      context.chat_template != model.chat->source) {
    model.chat = restore_chat_template(context.chat_template, model.special_tokens);
  }
  if (!flags.given("--system")) system = context.system;
  if (trains_model(read.descriptions.front().method)) {
    for (const char* flag : {"--task", "--alpha", "--scale", "--use"}) {
      require(!flags.given(flag), "{} has no effect: {} is a whole model, expected no {}", flag,
              read.folders.front().name, flag);
    }
    label = read.descriptions.front().method.method;
    return;
  }
  std::vector<NamedAdapter> loaded;
  for (std::size_t i = 0; i < read.folders.size(); ++i) {
    loaded.push_back({read.folders[i].name, load_adapter(read.folders[i].path, read.descriptions[i], model)});
  }
  for (std::size_t i = 0; i < read.folders.size(); ++i) {
    if (!read.descriptions[i].base_model.is_null()) continue;
    fmt::print(stderr, "note: {}\n", unknown_model_note(read.folders[i].path, model.name));
  }
  const auto chosen = in_use(adapter_flags.use, loaded);
  adapters = std::make_unique<AdapterSet>(std::move(loaded), chosen,
                                          Steering{parse_alpha(adapter_flags.alpha), adapter_flags.scale});
  label = adapters->label(chosen);
  if (!flags.given("--task")) return;
  const std::vector<std::string>& tasks = adapters->tasks();
  require(!tasks.empty(), "--task has no effect: no gates of {} are decided by the task, expected no --task",
          fmt::join(adapter_flags.adapters, ", "));
  if (std::ranges::find(tasks, adapter_flags.task) == tasks.end()) {
    fail_unknown("task", adapter_flags.task, std::vector<std::string_view>(tasks.begin(), tasks.end()));
  }
}

}  // namespace csreft
