// One of the things that a comparison compares, and how ablations make them from one base.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/tasks/task.h"
#include "experiments/training/trainer.h"
#include "reft/methods/method.h"

namespace csreft {

// What is learnt, and what is scored.
struct TaskSet {
  std::vector<Task> train, test;
};

// What an ablation measures of a method beside what every run does: a JSON object.
using Measure = nlohmann::json (*)(const LanguageModel& model, const Method& method, const TaskSet& tasks);

struct Variant {
  std::string name;
  MethodOptions method;  // untrained_options(): the model as it is
  TrainOptions train;
  std::vector<std::size_t> tasks{};       // of the training tasks, those that it learns, in this order; empty: all
  std::shared_ptr<const TaskSet> data{};  // in place of the comparison's; null: those
  // Called before the training, when the method has seen the prompts, and after it: summary.json keeps what it returns
  // as measured.before and measured.after. Null: nothing is measured.
  Measure measure = nullptr;
};

// Of the model as it is, with nothing to train.
inline MethodOptions untrained_options() { return {.method = "none", .values = nlohmann::json::object()}; }
inline bool is_untrained(const MethodOptions& options) { return options.method == "none"; }

// What the variants of an ablation start from.
struct AblationBase {
  MethodOptions method;  // CS-ReFT's options; `edit`, `rank` and `subspaces` always
  TrainOptions train;
  const Llama& model;
  std::span<const Task> tasks;  // to learn from
  std::span<const Task> tests;
  bool smoke = false;  // a minute's run: an ablation leaves out repetitions
};

// Without the options that the method does not have.
MethodOptions known_options(MethodOptions options);
// CS-ReFT with the base's options on those of the preset, and these instead of both.
Variant csreft_variant(const AblationBase& base, std::string name, const nlohmann::json& changes = {},
                       std::string_view preset = "specialised");
// One subspace of this rank with the same formula, places and start as the base's subspaces, and no gate: that
// formula's own method.
Variant single_variant(const AblationBase& base, std::string name, std::int64_t rank,
                       const nlohmann::json& changes = {});
// Of a method's options for each size (a rank) from 1 to the model's width, those whose number of parameters is nearest
// to the budget; of two that are equally near, the smaller. The number must grow with the size.
MethodOptions nearest_options(const AblationBase& base, std::int64_t budget,
                              const std::function<MethodOptions(std::int64_t size)>& of_size);
// LoRA of q and v in every layer, with PEFT's usual scale alpha = 2 r.
MethodOptions lora_options(std::int64_t rank);
// The same, of the rank with which it trains most nearly as many numbers as `other`.
Variant lora_variant(const AblationBase& base, std::string name, const Variant& other);
// O-LoRA of the base's tasks: of rank 1, the least, since each task has a LoRA of its own, in as many of the blocks,
// evenly spread, as bring its number of parameters nearest to the budget.
Variant olora_variant(const AblationBase& base, std::string name, std::int64_t budget);
// Full fine-tuning at the rate of its preset.
Variant full_variant(const AblationBase& base, std::string name);

// What --vary has put behind a variant's name: "csreft:order=2:rank=4" is ("csreft", ":order=2:rank=4").
std::pair<std::string, std::string> split_varied_name(const std::string& name);

// Trainable numbers.
std::int64_t parameters_of(const AblationBase& base, const MethodOptions& options);
// The base's rank times its number of subspaces.
std::int64_t total_rank(const AblationBase& base);

}  // namespace csreft
