// The router of CS-ReFT: alpha = gate(V2 relu(V1 x + c1) + c2), one for all layers of an adapter (arXiv 2503.10617,
// section 3), and the tables of what it may read, where its weights start, how its scores become gates, and how gates
// are penalised. To add one: a file in inputs/, starts/, gates/ or penalties/, and its name in meson.build.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/options.h"
#include "core/base/table.h"
#include "models/llama/llama.h"
#include "reft/parameter.h"
#include "reft/positions.h"
#include "reft/training_moment.h"

namespace csreft {

// ---- what it reads --------------------------------------------------------------------------------------------------

enum class RouterStates {
  embeddings,  // the prompt's input embeddings
  hidden,      // hidden states after a block below the first edit
};

struct RowRange {
  std::int32_t begin, end;
};

// All rows of a prompt.
inline RowRange whole_prompt_rows(std::int32_t start, std::int32_t length) { return {start, start + length}; }

// What the router reads of each prompt: the mean of the states of some of its tokens. Gradients do not flow into it.
struct RouterInput {
  std::string_view name;
  std::string_view summary;
  RouterStates states;
  RowRange (*rows)(std::int32_t start, std::int32_t length);  // of a prompt at rows [start, start + length) of a batch
};

// The means of `states` [tokens, d] of a batch over the rows that the input names, [examples, d].
Tensor mean_states(const RouterInput& input, const Tensor& states, const PromptSpans& prompts);
// The input of every prompt of a batch, [examples, d]; hidden states are those after block `layer`.
Tensor read_router_input(const RouterInput& input, std::int64_t layer, const Llama& model, const TokenBatch& batch,
                         const PromptSpans& prompts);

// Told how many of how many prompts have been read; false stops the reading.
using OnRead = std::function<bool(std::int64_t done, std::int64_t total)>;

// The same of prompts that are not in a batch yet, [prompts, d]; of those that were read, if on_read stops it.
Tensor read_router_inputs(const RouterInput& input, std::int64_t layer, const Llama& model,
                          std::span<const std::vector<std::int32_t>> prompts, const OnRead& on_read = {});
// What a router reads whose gates are by token, the hidden states after block `layer` of tokens [tokens, d]: of each
// prompt at most `most` >= 1, evenly spread.
Tensor read_token_states(std::int64_t layer, const Llama& model, std::span<const std::vector<std::int32_t>> prompts,
                         std::int64_t most, const OnRead& on_read = {});

// Those prompts from which statistics are taken: 2048 at most, evenly spread over all.
std::vector<std::vector<std::int32_t>> spread_prompts(std::span<const std::vector<std::int32_t>> prompts);

// ---- gates ----------------------------------------------------------------------------------------------------------

// The gates of a batch. A row is an example's or, where gates are decided token by token, a token's.
struct Gates {
  Variable alpha;          // [rows, k]: what edits are multiplied by
  Variable probabilities;  // [rows, gates]: what penalties read; undefined where no router is asked
};

// Gates [k] that are given from outside, the same for all rows. Throws Error for another number of them.
Gates given_gates(std::span<const double> alpha, std::int64_t rows, std::int64_t k, const TensorOptions& tensors);

// What decides a gate.
enum class GateSource { router, task, nothing };

// For each row, what gates are made of: scores [rows, gates] for GateSource::router, the index of its example's task
// for GateSource::task.
struct GateInput {
  Variable scores;
  std::span<const std::int32_t> tasks;
  std::int64_t rows;
  std::int64_t gates;
  TensorOptions tensors;
  std::optional<TrainingMoment> training;  // nothing: evaluation, without noise
  std::int64_t first_row = 0;              // the first row's number among those of the whole step
};

// How scores become gates; one file each, with the options that are its own.
class Gate {
 public:
  virtual ~Gate() = default;
  virtual void describe(Options& /*options*/) {}
  virtual GateSource source() const { return GateSource::router; }
  // Whether the probabilities of a row sum to one, so that more of one gate is less of the others.
  virtual bool competes() const = 0;
  // Throws Error if there cannot be so many gates.
  virtual void check(std::int64_t /*gates*/) const {}
  virtual Gates apply(const GateInput& input) const = 0;
};

// ---- penalties ------------------------------------------------------------------------------------------------------

// Omega: probabilities of a whole optimizer step [examples, k] -> [1].
struct Penalty {
  std::string_view name;
  std::string_view summary;
  // Whether it says anything of gates that compete (those of an example sum to one), and of gates that do not.
  bool of_competing, of_independent;
  bool mean_of_examples;  // so that parts of a step can be penalised apart
  Variable (*apply)(const Variable& probabilities);
};

// ---- the network ----------------------------------------------------------------------------------------------------

struct RouterShape {
  std::int64_t input;   // d
  std::int64_t hidden;  // the paper's is d / 2
  std::int64_t gates;   // k, less the subspaces that are always open
};

// "router.0.weight" [hidden, d], "router.0.bias", "router.2.weight" [gates, hidden], "router.2.bias": weights of
// deviation 1 / sqrt(inputs), biases zero. They are trained at lr_scale times the learning rate.
std::vector<Parameter> make_router_parameters(const RouterShape& shape, double lr_scale, std::uint64_t seed,
                                              std::uint64_t stream, const TensorOptions& tensors);

// Scores V2 relu(V1 x + c1) + c2: x [rows, d] -> [rows, gates]. `parameters` as made above.
Variable router_scores(const Tensor& x, std::span<const Parameter> parameters);

// Where the router's weights start, given what it reads of the training prompts.
struct RouterStart {
  std::string_view name;
  std::string_view summary;
  bool reads_prompts;  // else `inputs` may be undefined
  // Changes the values of `parameters`, which hold random ones. inputs: [prompts, d]. One that reads prompts has at
  // least as many hidden units as subspaces. Returns how many of the subspaces start in use; 0 where the prompts cannot
  // be told apart, and have one gate.
  std::int64_t (*set)(std::span<const Parameter> parameters, const Tensor& inputs, std::uint64_t seed);
};

// ---- tables ---------------------------------------------------------------------------------------------------------

std::span<const RouterInput* const> router_inputs();
std::span<const RouterStart* const> router_starts();
std::span<const ChoiceEntry<Gate>* const> gates();
std::span<const Penalty* const> penalties();
// By name. Throw Error, listing the names, for another.
inline const RouterInput& find_router_input(std::string_view name) {
  return find_named(router_inputs(), "router input", name);
}
inline const RouterStart& find_router_start(std::string_view name) {
  return find_named(router_starts(), "router start", name);
}
inline const Penalty& find_penalty(std::string_view name) { return find_named(penalties(), "penalty", name); }

}  // namespace csreft
