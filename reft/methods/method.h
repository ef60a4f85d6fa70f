// The one interface through which the training loop, the command line, the adapter files and the report know a
// fine-tuning method: its options, its parameters by name, what it needs of the model, where it attaches and, where it
// routes, its gates. To add a method: a file beside this one, and its name in meson.build.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/options.h"
#include "models/language_model.h"
#include "models/llama/llama.h"
#include "reft/parameter.h"
#include "reft/positions.h"
#include "reft/router/router.h"
#include "reft/training_moment.h"

namespace csreft {

// A method and those of its options that are not at their defaults: {"rank": 8, "gate": "top1"}. The names, defaults
// and ranges are the method's own (MethodSettings::describe).
struct MethodOptions {
  std::string method = "csreft";
  nlohmann::json values = nlohmann::json::object();

  nlohmann::json& operator[](const std::string& name) { return values[name]; }
  const nlohmann::json& at(const std::string& name) const { return values.at(name); }
  bool contains(const std::string& name) const { return values.contains(name); }
};

// A packed batch and where its prompts lie in it.
struct PromptBatch {
  const TokenBatch& tokens;
  const PromptSpans& prompts;
  // Each example's task, an index into the method's tasks; empty, or -1, where it is not known.
  std::span<const std::int32_t> tasks{};
  std::optional<TrainingMoment> training{};  // nothing: no dropout, no noise
  std::span<const double> alpha{};           // gates [k] to use for all examples in place of the method's; empty: none
  bool alone = true;                         // whether nothing else changes the hidden states that a router reads
};

// Throws Error for gates that are given to a method without any.
void refuse_alpha(const PromptBatch& batch);

// One forward pass over a batch, and the tokens that are generated after it. Owns its gates.
class MethodPass {
 public:
  MethodPass() = default;
  virtual ~MethodPass() = default;
  MethodPass(const MethodPass&) = delete;
  MethodPass& operator=(const MethodPass&) = delete;

  // What a forward pass over the batch calls; valid while this lives.
  virtual Attachments points() = 0;
  // The same for a batch of one new token of each of some of the examples, after points() has been used. `examples`:
  // which, as indices into the batch.
  virtual Attachments generated(std::span<const std::int32_t> /*examples*/) { return {}; }
  // Of the batch's examples, once the forward pass has come to the first edit; null for a method without gates.
  virtual const Gates* gates() const { return nullptr; }
};

// The part of a method that decides for each prompt which of its subspaces take part.
class Routing {
 public:
  virtual ~Routing() = default;
  virtual std::string_view gate() const = 0;
  virtual std::int64_t subspaces() const = 0;
  // How many of them, the first, are always open; gates are decided about the others alone.
  virtual std::int64_t shared() const = 0;
  // The gates of prompts, of these tasks, without any edit.
  virtual Gates route(std::span<const std::vector<std::int32_t>> prompts, std::span<const std::int32_t> tasks,
                      const std::optional<TrainingMoment>& training) const = 0;
  // The training tasks' names, where the task of an example decides its gates; generation must then be told which.
  virtual std::span<const std::string> tasks() const { return {}; }
  // Omega of an optimizer step's gates, [1]; undefined if there is none. lambda() times it is added to the loss.
  virtual Variable penalty(const Gates& gates) const = 0;
  virtual double lambda() const = 0;
  // Whether a row of the gates that penalties read is a prompt's token, and not a prompt.
  virtual bool by_token() const = 0;
  // Whether Omega is a mean over examples, so that the parts of a step may be penalised apart.
  virtual bool penalty_is_mean() const = 0;
  // The stacks [k r, d] of each edited place, whose blocks of r rows span the subspaces that edits write to: R, or a
  // free V in its place.
  virtual std::vector<Tensor> bases() const = 0;
};

class Method {
 public:
  virtual ~Method() = default;

  // Its name and all of its options as they were understood: "auto" is resolved.
  const MethodOptions& options() const { return options_; }
  virtual std::span<const Parameter> parameters() const = 0;
  // What is learnt without gradients and kept in the adapter (statistics of the router's input).
  virtual std::span<const std::pair<std::string, Tensor>> buffers() const { return {}; }
  // A line for each thing that a user would not expect of its options.
  virtual std::vector<std::string> notices() const { return {}; }
  // Looks at the training prompts once, before the first step; tells `on_read`, if set, how many it has read of how
  // many. Returns what a user should know of what it found, or nothing.
  virtual std::string prepare(std::span<const std::vector<std::int32_t>> /*prompts*/, const OnRead& /*on_read*/ = {}) {
    return {};
  }
  virtual std::unique_ptr<MethodPass> attach(const PromptBatch& batch) const = 0;
  virtual const Routing* routing() const { return nullptr; }
  // The index of `task` among the tasks that decide the method's gates, as PromptBatch::tasks has it; -1 where the
  // gates depend on no task. Throws Error, naming the tasks, if they depend on one and `task` is empty or none of them.
  virtual std::int32_t task_index(std::string_view task) const;
  // The names of the tasks that are learnt one after the other, in this order; empty: the method does not ask for it.
  virtual std::span<const std::string> sequence() const { return {}; }
  // Called before the first step of each task (of a mixture: once, for all), with its training prompts; and again when
  // a run goes on within the task, which then has parameters and buffers of its own already. Tells `on_read` as
  // prepare() does; if that stops the reading, nothing has changed.
  virtual void begin_task(std::int64_t /*task*/, std::span<const std::vector<std::int32_t>> /*prompts*/ = {},
                          const OnRead& /*on_read*/ = {}) {}
  // What is added to the loss of each optimizer step beside the cross-entropy and the penalty on gates, [1]; undefined:
  // nothing.
  virtual Variable regulariser() const { return {}; }

  // Throws Error, before any work is done, if save() will not be able to write for this model.
  virtual void check_save(const LanguageModel& /*model*/) const {}
  // The files of the adapter's folder, beside adapter.json: adapter.safetensors, if the method has no layout of its
  // own.
  virtual void save(const std::filesystem::path& folder, const LanguageModel& model) const;
  // Throws Error for files that are missing or unsound, and for tensors that are missing, extra or of another shape.
  virtual void load(const std::filesystem::path& folder);

 private:
  friend std::unique_ptr<Method> create_method(const MethodOptions&, const Llama&, std::uint64_t, std::string_view);

  MethodOptions options_;
};

// The options of a method, and the way from them to the method.
class MethodSettings {
 public:
  virtual ~MethodSettings() = default;
  virtual void describe(Options& options) = 0;
  // Whether the model's own weights are trained: then it must be loaded with Weights::trainable.
  virtual bool trains_model() const { return false; }
  // Resolves what depends on the model ("auto") in the options. Throws Error for options that the model cannot follow
  // and for those that exclude each other.
  virtual std::unique_ptr<Method> create(const Llama& model, std::uint64_t seed) = 0;
};

using MethodEntry = ChoiceEntry<MethodSettings>;

std::span<const MethodEntry* const> methods();
// Its parts: the methods that have a file, and one for each formula of interventions/.
std::span<const MethodEntry* const> listed_methods();
std::span<const MethodEntry> intervention_methods();
// A method's settings with these options. "lora+loreft" is a sum of methods: an option of one of them has its name in
// front ("lora.rank"), and without a name belongs to each that has it. Throws Error for an unknown method (naming the
// nearest), an unknown option, and a value that is not possible; `where` begins the text ("" for flags).
std::unique_ptr<MethodSettings> configure(const MethodOptions& options, std::string_view where = {});
// The same where options may be given that the method does not have.
struct ReadOptions {
  std::unique_ptr<MethodSettings> settings;
  std::vector<std::string> known, unknown;  // names that the method has; names given that it has not
};
ReadOptions read_options(const MethodOptions& options, std::string_view where = {});
// The same as configure(), created for a model. The method refers to the model, which must outlive it.
std::unique_ptr<Method> create_method(const MethodOptions& options, const Llama& model, std::uint64_t seed,
                                      std::string_view where = {});

// Parameters and buffers, by name, with these words in front of the names.
std::vector<std::pair<std::string, Tensor>> named_tensors(const Method& method, std::string_view of_parameter = {},
                                                          std::string_view of_buffer = {});
class SafeTensors;
// Overwrites their values. Throws Error as Method::load does; `where` names the file.
void load_values(const Method& method, const SafeTensors& file, const std::string& where);

// Trainable numbers: all, and of each part.
struct ParameterCount {
  std::int64_t total = 0;
  std::int64_t edits = 0, router = 0, adapters = 0, model = 0;

  std::int64_t without_router() const { return total - router; }
  // "73,728 in edits, 37,252 in the router": nothing where there is one part.
  std::string parts() const;
};
ParameterCount count_parameters(const Method& method);

}  // namespace csreft
