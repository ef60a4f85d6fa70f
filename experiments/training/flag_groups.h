// Flags that several experiments share, in groups.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "experiments/cli/cli.h"
#include "experiments/tasks/task.h"
#include "experiments/training/evaluate.h"
#include "experiments/training/trainer.h"
#include "models/language_model.h"
#include "reft/methods/method.h"

namespace csreft {

inline constexpr std::string_view default_model = "smollm2";

// --model, --chat-template, --system, --threads, --device, --quiet
struct ModelFlags {
  std::string model{default_model};
  std::string chat_template;
  std::string system;
  std::string weights = "f32";
  std::string device = "cpu";
  int threads = 0;
  bool quiet = false;

  void add_to(Flags& flags);
  // Sets the threads and loads to the device. Throws Error for a model that is not there.
  LanguageModel load() const;
};

// --method, --layers, --rank, --positions, --tied and what each method reads.
struct MethodFlags {
  MethodOptions options;
  std::string layers = "auto";
  std::string targets = "q_proj,v_proj";
  std::string preset;

  // With the default preset.
  MethodFlags();
  void add_to(Flags& flags);
  // The options for a model and for training tasks: `--layers auto` depends on how many the model has; what belongs to
  // a preset and was not given is the preset's, router_lr too. Throws Error for a given flag that the chosen method
  // does not read.
  MethodOptions parsed(const LlamaConfig& config, const Flags& flags, double& router_lr,
                       std::span<const Task> tasks) const;
  // The given flags in which the parsed options depart from the preset that was named, as "--gate, --lambda"; empty
  // where none was, or none does.
  std::string departures(const MethodOptions& parsed, double router_lr) const;

 private:
  void apply_preset(const Flags& flags, MethodOptions& out, double& router_lr) const;
};

// Four layers at fifths of the depth: 6, 12, 18 and 24 of 30.
std::vector<std::int64_t> spread_layers(std::int64_t n_layers);

// A model with an adapter, where a folder is named, and the prompt's form that belongs to it (unless flags say else).
struct AdaptedModel {
  LanguageModel model;
  std::unique_ptr<Method> method;  // null without an adapter
  std::string system;
};
// Throws Error, too, for a --task that was given without need.
AdaptedModel load_adapted_model(const ModelFlags& model_flags, const std::string& adapter_folder, const Flags& flags);

// --examples and --tests: how much of each file is used.
struct SizeFlags {
  std::string examples;  // of training, of each task: one number for all tasks, or one for each; empty: all

  void add_to(Flags& flags, EvaluationOptions& evaluation);
  // Cuts each training task to its first examples. Throws Error for flags that are not possible.
  void apply(std::vector<Task>& train, const EvaluationOptions& evaluation) const;
};

// --epochs, --batch, --lr and so on.
void add_train_flags(Flags& flags, TrainOptions& options);

// The path of a model: `smollm2` names the default, whose file the variable CSREFT_SMOLLM2 gives.
std::filesystem::path model_path(const std::string& model);

}  // namespace csreft
