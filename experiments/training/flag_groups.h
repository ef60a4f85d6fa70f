// Flags that several experiments share, in groups.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "experiments/cli/cli.h"
#include "experiments/cli/option_flags.h"
#include "experiments/tasks/read.h"
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
  // Throws Error for values that no model can have; load() does, too.
  void check() const;
  // Starts the threads and loads to the device, with weights that can be trained if so asked. Tells on stderr what a
  // user should know of the model's files; keeps what tell_template() tells only if `tells_template`. Throws Error for
  // a model that is not there.
  LanguageModel load(bool trainable = false, bool tells_template = true) const;
};

// A method with its options, and options of the training loop that come with it.
struct MethodChoice {
  MethodOptions method;
  nlohmann::json train = nlohmann::json::object();
  // A line for each thing that a user should know: flags without use, what a preset decides, departures from it.
  std::vector<std::string> notes{};
};

// --method, --preset and the flags that methods describe.
class MethodFlags {
 public:
  std::string method{methods().front()->name};
  std::string preset;

  // `arguments` are those that will be parsed: a sum of methods in them has flags of its own, --lora.rank, and so has a
  // method whose flags are given in that form beside another.
  void add_to(Flags& flags, Arguments arguments);
  // What the user gave over what the preset has (named, or the one that suits). `tasks`: the training tasks, for
  // methods that ask for their names. A flag that the method has no use for is a note. Throws Error for values that are
  // not possible, of such flags as well.
  MethodChoice chosen(const Flags& flags, std::span<const Task> tasks) const;

 private:
  OptionFlags options_;
};

// The flags of the training loop.
class TrainFlags {
 public:
  // Without flags for the options `without`, which an experiment has no use for.
  void add_to(Flags& flags, TrainOptions& defaults, std::initializer_list<std::string_view> without = {});
  // `defaults` with a preset's options, and the user's in their place. `notes`, if given, receives a line for each flag
  // that has no effect on the chosen optimizer.
  TrainOptions chosen(const TrainOptions& defaults, const nlohmann::json& preset,
                      std::vector<std::string>* notes = nullptr) const;

 private:
  OptionFlags options_;
};

// Whether a method's options ask for weights that can be trained.
bool trains_model(const MethodOptions& options);

// --tests, or --limit as it was called: of each task, the first examples of its file; 0: all.
void add_test_limit(Flags& flags, std::int64_t& limit);
// Throws Error for less than 0.
void check_test_limit(std::int64_t limit);

// How answers are drawn: --max-new-tokens, --temperature, --top-k, --top-p, --seed.
void add_generation_flags(Flags& flags, GenerationOptions& options);

// --field, --task-column
struct DataFlags {
  std::vector<std::string> fields;
  std::string task_column;

  void add_to(Flags& flags, bool with_task_column = true);
  // Throws Error for names that no format has.
  DataReading reading(Outputs outputs = Outputs::required) const;
};

// Says on stderr which chat template takes the place of one that the model's files do not have, or of their own, unless
// the user named it. Call it once nothing can be wrong with what the user gave: an error is one line.
void tell_template(const LanguageModel& model);

// "note: ..." on stdout, a line each.
void print_notes(std::span<const std::string> notes);

// --metric
void add_metric_flag(Flags& flags, EvaluationOptions& evaluation);
// Throws Error for a metric that there is not.
void check_metric(const EvaluationOptions& evaluation);

// The help of flags that name files of data: their formats.
std::string data_help(std::string_view what);

// --examples and --tests: how much of each file is used.
struct SizeFlags {
  std::string examples;  // of training, of each task: one number for all tasks, or one for each; empty: all

  void add_to(Flags& flags, EvaluationOptions& evaluation);
  // Cuts each training task to its first examples. Throws Error for flags that are not possible.
  void apply(std::vector<Task>& train, const EvaluationOptions& evaluation) const;
};

// The path of a model: `smollm2` names the default, whose file the variable CSREFT_SMOLLM2 gives.
std::filesystem::path model_path(const std::string& model);

}  // namespace csreft
