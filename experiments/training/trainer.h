// The training loop: one for every method.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "experiments/training/batch.h"
#include "experiments/training/metrics.h"
#include "reft/adapter.h"
#include "reft/stiefel/optimizer.h"

namespace csreft {

struct TrainOptions {
  std::int64_t batch = 16;
  std::int64_t epochs = 3;
  double lr = 4e-3;
  double router_lr = 1.0;  // times lr
  // Times lr, for the orthonormal R. A step of Riemannian Adam has the length lr in all, where AdamW moves each of a
  // matrix's elements by about lr: with the same rate R would stand still while W moves.
  double stiefel_lr = 30.0;
  double warmup = 0.06;  // share of all steps
  double beta2 = 0.999;  // decay of Adam's second moments
  double clip = 1.0;     // largest norm of the gradient; 0: no clipping
  double weight_decay = 0.0;
  std::string optimizer = "riemannian_adam";
  std::string retraction = "qr";
  std::uint64_t seed = 0;
  std::int64_t max_length = 512;        // tokens of an example
  std::int64_t tokens_per_pass = 4096;  // a longer batch is split, and its gradients are summed
  std::int64_t max_steps = 0;           // 0: as many as the epochs have
  std::string system;
  bool quiet = false;
};

struct TrainResult {
  std::vector<StepMetrics> steps;
  bool interrupted = false;
  // Over all steps, those before a resume too.
  double seconds() const;
  double tokens_per_second() const;
  std::vector<double> losses() const;
  // The losses without the penalty: what methods can be compared by.
  std::vector<double> cross_entropies() const;
};

// Trains `method` in place on the examples of all tasks, mixed and shuffled anew in each epoch. With a `folder`, writes
// metrics.jsonl (a line a step), adapter/ and state.safetensors there as it goes, at the end and when interrupted; with
// `resume`, continues from them as if it had never stopped. Stops when interrupted() (progress.h).
// Throws Error for tasks without examples and when the loss is no longer finite: then it says at which step, and the
// method holds (and the folder keeps) the last values that gave a finite loss.
class Trainer {
 public:
  Trainer(const LanguageModel& model, Method& method, std::span<const Task> tasks, TrainOptions options);

  TrainResult run(const std::filesystem::path& folder = {}, bool resume = false);

  std::int64_t total_steps() const { return total_steps_; }
  // A line for each thing that a user would not expect of these data and options.
  const std::vector<std::string>& notices() const { return notices_; }
  // Forward and backward of one optimizer step on `examples`, and the update at the rate `lr`. Public for measurements.
  StepMetrics step(std::span<const EncodedExample* const> examples, double lr);
  const std::vector<EncodedExample>& examples() const { return examples_; }

 private:
  std::vector<const EncodedExample*> batch_of_step(std::int64_t step) const;
  StepMetrics accumulate(std::span<const EncodedExample* const> examples);
  void penalise(std::span<const EncodedExample* const> examples, double share, StepMetrics& metrics);
  bool prepare();
  // Indices into the method's tasks.
  std::vector<std::int32_t> tasks_of(std::span<const EncodedExample* const> examples) const;
  std::string training_data() const;
  std::vector<Tensor> values() const;  // of the method's parameters
  std::vector<Tensor> take_gradients();
  void check_supervision() const;
  // Throws Error, with the last good values put back and saved, if a step's loss, gradient or result is not finite.
  void check_finite(const StepMetrics& metrics, const std::filesystem::path& folder);
  void remember_good_values();
  void restore_good_values();
  void save(const std::filesystem::path& folder, std::int64_t step) const;
  void save_good_adapter(const std::filesystem::path& folder) const;
  // The steps that were done when the state was saved.
  std::vector<StepMetrics> load(const std::filesystem::path& folder);

  const LanguageModel& model_;
  Method& method_;
  TrainOptions options_;
  std::vector<std::string> task_names_;
  std::vector<EncodedExample> examples_;
  std::int64_t steps_per_epoch_ = 0;
  std::int64_t total_steps_ = 0;
  std::vector<std::string> notices_;
  Optimizer optimizer_;
  // The parameters before the latest update; there from the start, so that no step after the first allocates.
  std::vector<Tensor> good_values_;
  bool has_good_values_ = false;
};

}  // namespace csreft
