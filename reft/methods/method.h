// The one interface through which the training loop, the command line, the adapter files and the report know a
// fine-tuning method: its parameters by name, where it attaches, its penalty, and what it can show of itself. To add a
// method: a file beside this one, its declaration in entries.h, a line in the table of table.cpp, and the file's name
// in meson.build.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/llama/llama.h"
#include "reft/parameter.h"
#include "reft/positions.h"
#include "reft/router/router.h"

namespace csreft {

// Every choice that a method may offer; each reads those it knows. Kept whole in the adapter, which rebuilds from it.
struct MethodOptions {
  std::string method = "csreft";
  std::vector<std::int64_t> layers{6, 12, 18, 24};  // edited blocks, 0-based; empty: all of them
  std::int64_t rank = 4;
  std::string positions = "f5+l5";
  bool tied = false;

  // CS-ReFT
  std::int64_t subspaces = 4;
  bool joint = false;  // all subspaces orthogonal to each other, on one manifold
  std::string router_input = "prompt_mean";
  std::int64_t router_layer = -1;  // whose hidden states router_input "hidden" reads; -1: the one below the first edit
  std::int64_t router_hidden = 64;
  bool router_norm = false;  // standardise the router's input by the training prompts' mean and deviation
  std::string router_start = "random";
  std::string gate = "soft";
  std::string penalty = "none";
  double lambda = 0.0;
  std::vector<std::string> tasks{};  // the names of the training tasks, for a gate that is decided by them

  // LoRA
  double lora_alpha = 32.0;
  std::vector<std::string> targets{"q_proj", "v_proj"};
};

// A packed batch and where its prompts lie in it.
struct PromptBatch {
  const TokenBatch& tokens;
  const PromptSpans& prompts;
  // Each example's task, an index into MethodOptions::tasks; empty, or -1, where it is not known.
  std::span<const std::int32_t> tasks{};
};

// One forward pass of a method.
struct MethodPass {
  Attachments points;
  // Of a method that has gates, once the forward pass has come to the first edit; otherwise undefined.
  std::shared_ptr<Gates> gates = std::make_shared<Gates>();
};

class Method {
 public:
  virtual ~Method() = default;

  virtual const MethodOptions& options() const = 0;
  virtual std::span<const Parameter> parameters() const = 0;
  // What is learnt without gradients and kept in the adapter (statistics of the router's input).
  virtual std::span<const std::pair<std::string, Tensor>> buffers() const { return {}; }
  // Looks at the training prompts once, before the first step; tells `on_read`, if set, how many it has read of how
  // many. Returns what a user should know of what it found, or nothing.
  virtual std::string prepare(const Llama&, std::span<const std::vector<std::int32_t>> /*prompts*/,
                              const OnRead& /*on_read*/ = {}) {
    return {};
  }
  // For a batch whose prompts are edited, or whose prompts are all there is.
  virtual MethodPass attach(const Llama& model, const PromptBatch& batch) const = 0;
  // For tokens generated after a prompt that attach() has seen.
  virtual Attachments attach_generated(const Llama& /*model*/) const { return {}; }
  // The gates of prompts, of these tasks, without any edit; undefined for a method that has none.
  virtual Gates route(const Llama& /*model*/, std::span<const std::vector<std::int32_t>> /*prompts*/,
                      std::span<const std::int32_t> /*tasks*/ = {}) const {
    return {};
  }
  // Whether the gates are decided by the task of an example, so that generation must be told which.
  virtual bool needs_task() const { return false; }
  // Omega of an optimizer step's gates, [1], to be added lambda times to the loss; undefined if the method has none.
  virtual Variable penalty(const Gates& /*gates*/) const { return {}; }
  // Whether Omega is a mean over examples, so that the parts of a step may be penalised apart.
  virtual bool penalty_is_mean() const { return true; }
  // The stacked bases R [k r, d] of each place with subspaces, for measures of how they overlap.
  virtual std::vector<Tensor> bases() const { return {}; }
};

struct MethodEntry {
  std::string_view name;
  std::string_view summary;
  // The flags that it reads, beyond --layers.
  std::vector<std::string_view> flags;
  // Throws Error for options that the model cannot follow: a layer or a rank that it does not have.
  std::unique_ptr<Method> (*create)(const MethodOptions& options, const LlamaConfig& config, std::uint64_t seed,
                                    const TensorOptions& tensors);
};

std::span<const MethodEntry* const> methods();
// Throws Error, naming the nearest, for an unknown method.
const MethodEntry& find_method(std::string_view name);
// Throws Error, naming the nearest, for an unknown method.
std::unique_ptr<Method> create_method(const MethodOptions& options, const LlamaConfig& config, std::uint64_t seed,
                                      const TensorOptions& tensors = {});

// The index of a task among the method's; -1 for a method that needs none. Throws Error, naming them, if the method
// needs one and was not trained on this; `task` may be empty.
std::int32_t task_index(const Method& method, std::string_view task);

// Layers in rising order, all of them for an empty list. Throws Error for one that the model lacks or one named twice.
std::vector<std::int64_t> checked_layers(const MethodOptions& options, const LlamaConfig& config);
// Throws Error unless 1 <= rank * subspaces <= hidden size.
void check_rank(std::int64_t rank, std::int64_t subspaces, const LlamaConfig& config);

// Trainable numbers, with and without the router.
struct ParameterCount {
  std::int64_t total = 0;
  std::int64_t without_router = 0;
};
ParameterCount count_parameters(const Method& method);

}  // namespace csreft
