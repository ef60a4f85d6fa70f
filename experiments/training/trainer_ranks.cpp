// What several processes that train one model tell each other: numbers and gradients of a step, gates that a penalty
// compares, and what the first of them has read, measured or been told.

#include <algorithm>
#include <cmath>

#include "experiments/cli/progress.h"
#include "experiments/training/config.h"
#include "experiments/training/gate_means.h"
#include "experiments/training/trainer.h"

namespace csreft {

// Throws Error where a rank would train something else.
void Trainer::check_ranks() const {
  if (ranks_.size() == 1) return;
  ranks_.check_same("training data", training_data());
  ranks_.check_same("options of the training", to_json(options_).dump());
  ranks_.check_same("options of the method", method_.options().method + method_.options().values.dump());
  ranks_.check_same("weights of the model", model_.llama.fingerprint().text());
}

// Throws Error where a rank would take part in other messages.
void Trainer::check_ranks_do_the_same(bool keeps, bool resume) const {
  if (ranks_.size() == 1) return;
  ranks_.check_same("validation, tests or times of saving",
                    fmt::format("{} {} {} {} {} {}", validation_.has_value(), score_ != nullptr,
                                options_.save_every > 0.0, options_.save_at_end, keeps, resume));
}

// The probabilities of the whole step's gates, in the order of its examples: this rank's (undefined: it has none) are
// what gradients flow to, the others' are constants, so that over ranks the gradients add up to that of the whole.
Variable Trainer::of_all_ranks(const Variable& own) const {
  if (ranks_.size() == 1) return own;
  const Routing& routing = *method_.routing();
  const auto [rows, before] = ranks_.all_gather_rows(own.defined() ? own.value() : Tensor(),
                                                     routing.subspaces() - routing.shared(), model_.llama.options());
  if (!own.defined()) return Variable(rows);
  const std::int64_t n = own.shape()[0];
  std::vector<std::int32_t> index;
  for (std::int64_t i = before; i < before + n; ++i) index.push_back(static_cast<std::int32_t>(i));
  ops::copy_(rows.slice(before, before + n), Tensor::zeros(own.shape(), rows.options()));
  return add_at_rows(Variable(rows), index_tensor(index), own);
}

// Numbers and gradients become those of the whole step, the same on all ranks. A rank that has been told to stop or to
// save tells the others.
void Trainer::sum_over_ranks(StepMetrics& metrics, GateMeans& gates, std::vector<Tensor>& gradients) {
  if (ranks_.size() == 1) return;
  std::vector<double> numbers{metrics.loss,
                              metrics.cross_entropy,
                              metrics.penalty,
                              static_cast<double>(metrics.tokens),
                              interrupted() ? 1.0 : 0.0,
                              take_save_request() || save_is_due_ ? 1.0 : 0.0};
  const std::size_t n = numbers.size();
  for (const Tensor& g : gradients) numbers.push_back(g.defined() ? 1.0 : 0.0);
  numbers.insert(numbers.end(), gates.sums().begin(), gates.sums().end());
  ranks_.all_reduce_(std::span(numbers));
  metrics.loss = numbers[0];
  metrics.cross_entropy = numbers[1];
  metrics.penalty = numbers[2];
  metrics.tokens = static_cast<std::int64_t>(numbers[3]);
  agreed_ = {.stop = numbers[4] > 0.0, .save = numbers[5] > 0.0};
  std::copy(numbers.end() - std::ssize(gates.sums()), numbers.end(), gates.sums().begin());
  if (!std::isfinite(metrics.loss)) return;
  std::vector<Tensor> shared;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (numbers[n + i] == 0.0) continue;
    Tensor& g = gradients[i];
    const Tensor& value = values_of_all_[i];
    if (!g.defined()) g = Tensor::zeros(value.shape(), value.options());
    if (!g.unique()) g = g.clone();
    shared.push_back(g);
  }
  ranks_.all_reduce_(shared);
}

bool Trainer::stops() const { return ranks_.size() == 1 ? interrupted() : agreed_.stop; }

// What the first rank has learnt without gradients, on all.
void Trainer::share_prepared() const {
  std::vector<Tensor> tensors = adapter_values_;
  for (const auto& [name, tensor] : method_.buffers()) tensors.push_back(tensor);
  ranks_.broadcast_(tensors);
}

std::optional<ValidationRecord> Trainer::measure_validation(std::int64_t step) const {
  std::optional<ValidationRecord> record;
  if (ranks_.is_first()) record = validation_->measure(method_, step);
  if (!ranks_.broadcast_first(record.has_value())) return std::nullopt;
  if (!record) record = ValidationRecord{.step = step, .cross_entropy = 0.0, .score = {}};
  record->cross_entropy = ranks_.broadcast_first(record->cross_entropy);
  return record;
}

// The scores themselves stay with the first rank.
std::optional<std::vector<TaskScore>> Trainer::measure_scores(std::size_t task) const {
  std::optional<std::vector<TaskScore>> scores;
  if (ranks_.is_first()) scores = score_(task);
  if (!ranks_.broadcast_first(scores.has_value())) return std::nullopt;
  return scores ? *std::move(scores) : std::vector<TaskScore>();
}

}  // namespace csreft
