// The tasks of a training run: which examples are learnt when, and what happens where one task ends and the next
// begins.

#include <algorithm>

#include "core/tensor/random.h"
#include "experiments/cli/progress.h"
#include "experiments/training/trainer.h"
#include "reft/random_streams.h"

namespace csreft {

void Trainer::add_task(const Task& task) {
  Skipped skipped = task.skipped;
  const std::size_t before = turns_.size();
  for (const auto& example : task.examples) {
    auto turns = encode_turns(model_, example, options_.system, options_.max_length, options_.learnt_turns());
    if (turns.empty()) {
      const bool has_prompt =
          !example.is_text && !encode_prompts(model_, std::span(&example, 1), options_.system).front().empty();
      ++(has_prompt ? skipped.too_long : skipped.empty);
      continue;
    }
    n_cut_ += turns.back().cut ? 1 : 0;
    turns_.push_back({examples_.size(), examples_.size() + turns.size()});
    for (auto& turn : turns) {
      turn.task = task_names_.size();
      examples_.push_back(std::move(turn));
    }
  }
  const std::string told = describe(skipped, turns_.size() - before);
  require(
      turns_.size() > before || task.examples.empty(),
      "{}: no example can be learnt, {}: expected prompts of fewer tokens than --max-length {} and the model's context "
      "of {}",
      task.name, told, options_.max_length, context_length(model_.llama.config()));
  if (!told.empty()) notices_.push_back(fmt::format("{}: {}", task.name, told));
  skipped_.emplace_back(task.name, skipped);
  task_names_.push_back(task.name);
}

std::vector<std::vector<std::int64_t>> Trainer::turn_lengths() const {
  std::vector<std::vector<std::int64_t>> lengths;
  for (const auto& turns : turns_) {
    auto& of_example = lengths.emplace_back();
    for (std::size_t turn = turns.begin; turn < turns.end; ++turn)
      of_example.push_back(std::ssize(examples_[turn].ids));
  }
  return lengths;
}

std::vector<Trainer::Phase> Trainer::make_phases() {
  const auto sequence = method_.sequence();
  std::vector<std::string> stems;
  for (const auto& name : task_names_) stems.push_back(task_stem(name));
  require(sequence.empty() || std::ranges::equal(stems, sequence),
          "the method learns {} in sequence, and the data are of {}: expected the same", fmt::join(sequence, ", "),
          fmt::join(stems, ", "));
  require(!options_.in_sequence() || task_names_.size() > 1,
          "--order sequence has one task, {}, to learn: expected two or more --train files", task_names_.front());
  std::vector<Phase> phases(options_.in_sequence() || !sequence.empty() ? task_names_.size() : 1);
  for (const auto& turns : turns_) {
    phases[phases.size() == 1 ? 0 : examples_[turns.begin].task].examples.push_back(turns);
  }
  std::int64_t done = 0;
  for (Phase& phase : phases) {
    const auto n = static_cast<std::int64_t>(phase.examples.size());
    phase.first_step = done;
    phase.steps_per_epoch = (n + options_.batch - 1) / options_.batch;
    phase.steps = phase.steps_per_epoch * options_.epochs;
    if (options_.max_steps > phase.steps) {
      notices_.push_back(fmt::format("--steps {}: the {} epoch{} of {} example{} have {}", options_.max_steps,
                                     options_.epochs, options_.epochs == 1 ? "" : "s", n, n == 1 ? "" : "s",
                                     phase.steps));
    }
    if (options_.max_steps > 0) phase.steps = std::min(phase.steps, options_.max_steps);
    done += phase.steps;
  }
  return phases;
}

std::size_t Trainer::phase_of(std::int64_t step) const {
  std::size_t phase = phases_.size() - 1;
  while (phases_[phase].first_step > step) --phase;
  return phase;
}

// Step s of a phase takes batch s mod steps_per_epoch of a shuffle that depends on the seed, the phase and the epoch
// alone, so that a run can be continued at any step.
std::vector<const EncodedExample*> Trainer::batch_of_step(std::int64_t step) const {
  const std::size_t p = phase_of(step);
  const Phase& phase = phases_[p];
  step -= phase.first_step;
  std::vector<Turns> order = phase.examples;
  Random random(options_.seed, epoch_shuffle_stream + phase_shuffle_streams * p +
                                   static_cast<std::uint64_t>(step / phase.steps_per_epoch));
  shuffle(order, random);
  const auto begin = static_cast<std::size_t>(step % phase.steps_per_epoch * options_.batch);
  std::vector<const EncodedExample*> batch;
  for (std::size_t i = begin; i < std::min(begin + static_cast<std::size_t>(options_.batch), order.size()); ++i) {
    for (std::size_t turn = order[i].begin; turn < order[i].end; ++turn) batch.push_back(&examples_[turn]);
  }
  return batch;
}

bool Trainer::show_prompts(std::span<const Turns> examples, const ShowPrompts& show) const {
  std::vector<std::vector<std::int32_t>> prompts;
  for (const auto& turns : examples) {
    for (std::size_t turn = turns.begin; turn < turns.end; ++turn) prompts.push_back(prompt_of(examples_[turn]));
  }
  std::optional<Progress> reading;
  bool whole = true;
  show(prompts, [&](std::int64_t done, std::int64_t total) {
    if (!reading) reading.emplace("read prompts", total, "", options_.quiet);
    reading->update(done);
    whole = done == total || !interrupted();
    return whole;
  });
  return whole;
}

// Before the first step, the method sees the prompts of all examples; of a sequence those of the first task alone.
bool Trainer::prepare() {
  std::string found;
  bool whole = true;
  if (ranks_.is_first()) {
    whole = show_prompts(options_.in_sequence() ? phases_.front().examples : turns_,
                         [&](std::span<const std::vector<std::int32_t>> prompts, const OnRead& on_read) {
                           found = method_.prepare(prompts, on_read);
                         });
  }
  whole = ranks_.broadcast_first(whole);
  if (whole) share_prepared();
  if (whole && !found.empty() && !options_.quiet) {
    fmt::print("note: {}\n", found);
    std::fflush(stdout);
  }
  return whole;
}

bool Trainer::begin_phase(std::size_t phase, bool at_its_start) {
  const ShowPrompts begin_task = [&](std::span<const std::vector<std::int32_t>> prompts, const OnRead& on_read) {
    method_.begin_task(static_cast<std::int64_t>(phase), prompts, on_read);
  };
  const auto& examples = phases_[phase].examples;
  const bool whole = ranks_.broadcast_first(!ranks_.is_first() || show_prompts(examples, begin_task));
  if (whole) share_prepared();
  // With what the first has read, the others begin as a run does that goes on within the task.
  if (whole && !ranks_.is_first()) static_cast<void>(show_prompts(examples, begin_task));
  if (whole && at_its_start && options_.in_sequence()) optimizer_.forget();
  return whole;
}

std::vector<std::string> Trainer::sequence() const {
  std::vector<std::string> stems;
  if (!options_.in_sequence()) return stems;
  for (const auto& name : task_names_) stems.push_back(task_stem(name));
  return stems;
}

void Trainer::after_each_task(ScoreTasks score) {
  if (options_.in_sequence()) score_ = std::move(score);
}

bool Trainer::scoring_is_due(std::int64_t step, const TrainResult& result) const {
  if (!score_ || step == 0) return false;
  const std::size_t p = phase_of(step - 1);
  return step == phases_[p].first_step + phases_[p].steps && result.sequence.size() <= p;
}

bool Trainer::score_tasks(TrainResult& result, std::optional<LineLog>& log) {
  const std::size_t task = result.sequence.size();
  auto scores = measure_scores(task);
  if (!scores) return false;
  result.sequence.push_back({task_stem(task_names_[task]), *std::move(scores)});
  if (log) log->add(sequence_line(result.sequence.back()));
  return true;
}

}  // namespace csreft
