// O-LoRA (arXiv 2310.14152): tasks are learnt one after the other, each with a LoRA of its own. A task's forward pass
// has the LoRAs of all tasks so far; those of earlier tasks are frozen, and a penalty keeps the new A orthogonal to
// theirs: lambda sum over places of sum over i < t of |A_i A_t^T|_1 (the absolute sum of their released code, where the
// paper's eq. 8 has squares).
#include <algorithm>
#include <cmath>

#include "reft/methods/lora_sites.h"

namespace csreft {
namespace {

struct OLoraOptions {
  LoraOptions lora;
  double orthogonality = 0.5;
  std::vector<std::string> tasks;

  void describe(Options& options) {
    lora.describe(options);
    options.add("orthogonality", orthogonality,
                "weight of the penalty that keeps a task's A orthogonal to earlier ones", not_negative());
    options.add("tasks", tasks, "names of the tasks, in the order of learning; empty: those of --train");
  }
};

class OLora final : public Method {
 public:
  OLora(const OLoraOptions& options, const Llama& model, std::uint64_t seed) : options_(options) {
    std::uint64_t place = first_lora_place;
    for (const auto& task : options.tasks) {
      sites_.emplace_back(options.lora, model, seed, place, task + ".");
      place += sites_.back().places().size();
      parameters_.insert(parameters_.end(), sites_.back().parameters().begin(), sites_.back().parameters().end());
    }
  }

  std::span<const Parameter> parameters() const override { return parameters_; }
  std::span<const std::string> sequence() const override { return options_.tasks; }
  void begin_task(std::int64_t task, std::span<const std::vector<std::int32_t>> /*prompts*/,
                  const OnRead& /*on_read*/) override {
    task_ = static_cast<std::size_t>(task);
  }

  std::unique_ptr<MethodPass> attach(const PromptBatch& batch) const override {
    refuse_alpha(batch);
    // In evaluation all take part: those of tasks that are not learnt yet have B = 0.
    if (!batch.training) return std::make_unique<LoraPass>(std::span(sites_), batch);
    return std::make_unique<LoraPass>(std::span(sites_).first(task_ + 1), batch, /*frozen=*/task_);
  }

  Variable regulariser() const override {
    if (task_ == 0 || options_.orthogonality == 0.0) return {};
    Variable total;
    for (const auto& [where, place] : sites_[task_].places()) {
      std::vector<Tensor> earlier;
      for (std::size_t i = 0; i < task_; ++i) earlier.push_back(sites_[i].places().at(where).A.value());
      const Variable here = csreft::orthogonality(place.A, earlier);
      total = total.defined() ? add(total, here) : here;
    }
    return scale(total, options_.orthogonality);
  }

 private:
  OLoraOptions options_;
  std::vector<LoraSites> sites_;  // of each task
  std::vector<Parameter> parameters_;
  std::size_t task_ = 0;
};

class OLoraSettings final : public MethodSettings {
 public:
  void describe(Options& options) override { options_.describe(options); }
  std::unique_ptr<Method> create(const Llama& model, std::uint64_t seed) override {
    options_.lora.resolve(model.config());
    require(!options_.tasks.empty(), "olora needs the names of the tasks: expected --train files, or --tasks");
    return std::make_unique<OLora>(options_, model, seed);
  }

 private:
  OLoraOptions options_;
};

}  // namespace

extern const MethodEntry olora_method;
const MethodEntry olora_method{"olora", "a LoRA for each task, learnt in sequence, orthogonal to the earlier ones",
                               [] { return std::make_unique<OLoraSettings>(); }};

}  // namespace csreft
