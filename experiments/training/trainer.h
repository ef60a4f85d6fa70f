// The training loop: one for every method.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/ranks/ranks.h"
#include "core/tensor/safetensors.h"
#include "experiments/training/batch.h"
#include "experiments/training/metrics.h"
#include "experiments/training/sequence.h"
#include "experiments/training/validation.h"
#include "reft/adapter.h"
#include "reft/stiefel/optimizer.h"

namespace csreft {

class GateMeans;

struct TrainOptions {
  std::int64_t batch = 16;
  std::int64_t epochs = 2;
  std::string order = "mixed";  // of the tasks: "mixed", or "sequence", one after the other
  std::string loss_on = "all";  // the assistant's turns of a conversation that are learnt: "all", or the "last" alone
  double lr = 4e-3;
  double warmup = 0.06;  // share of all steps
  double clip = 1.0;     // largest norm of the gradient; 0: no clipping
  Chosen<OptimizerRule> optimizer = choose_optimizer();
  std::uint64_t seed = 0;
  std::int64_t max_length = 512;        // tokens of an example
  std::int64_t tokens_per_pass = 4096;  // a longer batch is split, and its gradients are summed
  std::int64_t max_steps = 0;           // 0: as many as the epochs have
  std::int64_t validate_every = 0;      // steps from one validation to the next; 0: an epoch
  std::string keep = "last";            // of which step the adapter is kept: "last", or "best" on the validation data
  // Not described: they are the model's, the screen's and the disk's.
  std::string system;
  bool quiet = false;
  double save_every = 60.0;  // seconds from one save to the next; 0: only at the end
  bool save_at_end = true;   // false: only what an unfinished run goes on from is saved

  void describe(Options& options);
  bool in_sequence() const { return order == "sequence"; }
  LossOn learnt_turns() const { return loss_on == "last" ? LossOn::last : LossOn::all; }
};

// Thrown where a loss, a gradient or the parameters are no longer finite; says at which step.
struct TrainingDiverged : Error {
  using Error::Error;
};

struct TrainResult {
  std::vector<StepMetrics> steps;
  std::vector<ValidationRecord> validation{};
  std::vector<SequenceRecord> sequence{};  // of the tasks that are learnt, where Trainer::after_each_task was called
  std::int64_t kept_step = 0;  // with --keep best, the step whose values the method has; 0: those of the last
  bool interrupted = false;
  // Over all steps, those before a resume too.
  double seconds() const;
  double tokens_per_second() const;
  std::vector<double> losses() const;
  // The losses without the penalty: what methods can be compared by.
  std::vector<double> cross_entropies() const;
};

// Trains `method` in place on the examples of all tasks, mixed and shuffled anew in each epoch; or, if the method or
// options.order asks for it, on one task after the other, each with the epochs and the schedule of a run of its own,
// and where options.order does, with the optimizer as new. With a `folder`, writes metrics.jsonl (a line a step),
// adapter/ and state.safetensors there as it goes, at the end and when interrupted; with `resume`, continues from them
// as if it had never stopped. Stops when interrupted(), and saves when a save is asked for (progress.h). A process that
// is killed leaves each of these files whole or absent, and a state to go on from. Throws Error for tasks without
// examples, for options.keep "best" where tasks are learnt in sequence, and for steps that need more memory than is
// free (step_memory.h).
//
// A step whose loss or gradient is not finite is not applied: then run() throws TrainingDiverged. The
// method then holds, and the folder keeps, the best values so far where options.keep is "best", and else the last ones
// that gave a finite loss. A method that trains the model itself, of whose parameters no copy is kept for that, holds
// what the last step has made, and the folder keeps what was saved last.
//
// Several ranks train together: each constructs a Trainer of the same model, method, tasks and options, and calls the
// same members. Each computes its part of a step's examples (step_parts.h) and remembers the optimizer's moments of its
// share of the parameters; losses, gradients and updates are those of one process but for rounding. The first rank
// alone looks at prompts, validates, scores and writes; a signal that any of them receives stops or saves on all.
//
// Examples without a token to learn within options.max_length are left out, and counted in skipped(). The turns of a
// conversation (encode_turns) are learnt in one step: it counts as one example.
class Trainer {
 public:
  // Throws Error for a task of which no example is left, and where ranks do not train the same. `ranks` must outlive
  // it.
  Trainer(const LanguageModel& model, Method& method, std::span<const Task> tasks, TrainOptions options,
          const Ranks& ranks = one_process);

  // From here on, run() measures the method on these tasks every options.validate_every steps and at the end, writes
  // validation.jsonl, and with options.keep "best" ends with the values of the step that did best there.
  void validate_on(std::vector<Task> tasks, const EvaluationOptions& options);

  // How the method does on all tasks, asked for after task `task` of a sequence; nothing if a signal cut it short,
  // which stops the run: it asks again when it goes on.
  using ScoreTasks = std::function<std::optional<std::vector<TaskScore>>(std::size_t task)>;
  // From here on, run() asks `score` whenever a task of a sequence is learnt (options.order), and writes
  // sequence.jsonl: a line for each task, whatever stops the run between them. Does nothing where tasks are mixed.
  void after_each_task(ScoreTasks score);

  // Where there are several ranks, all name the folder, and only a resumed run's need be there for all.
  TrainResult run(const std::filesystem::path& folder = {}, bool resume = false);

  // What a folder holds to go on from.
  struct Saved {
    std::int64_t done = 0;  // steps
    std::int64_t lost = 0;  // steps that were done since then, and must be done again
  };
  // Throws Error for a state that is missing, broken or of a run on other training data.
  Saved saved(const std::filesystem::path& folder) const;

  const Ranks& ranks() const { return ranks_; }
  std::int64_t total_steps() const { return total_steps_; }
  // The stems of the tasks in the order of learning, where options.order asks for a sequence; else none.
  std::vector<std::string> sequence() const;
  // How many tasks are learnt one after the other, whoever asks for it; 1: all at once.
  std::size_t n_phases() const { return phases_.size(); }
  // A line for each thing that a user would not expect of these data and options.
  const std::vector<std::string>& notices() const { return notices_; }
  // Forward and backward of one optimizer step on `examples`, and the update at the rate `lr`. Public for measurements.
  StepMetrics step(std::span<const EncodedExample* const> examples, double lr);
  // The turns of all examples.
  const std::vector<EncodedExample>& examples() const { return examples_; }
  // By task: what of its data is not used, the reader's count included.
  const std::vector<std::pair<std::string, Skipped>>& skipped() const { return skipped_; }

 private:
  // An example: those of its turns that are learnt, from one index of examples_ to before another.
  struct Turns {
    std::size_t begin, end;
  };
  // Examples that are learnt together, in steps of their own: all of them or, where tasks are learnt in sequence, those
  // of one task.
  struct Phase {
    std::vector<Turns> examples;
    std::int64_t first_step = 0, steps = 0, steps_per_epoch = 0;
  };
  // Encodes a task, and counts what is left out of it.
  void add_task(const Task& task);
  std::vector<std::vector<std::int64_t>> turn_lengths() const;  // the tokens of each example's turns
  std::vector<Phase> make_phases();
  std::size_t phase_of(std::int64_t step) const;
  std::vector<const EncodedExample*> batch_of_step(std::int64_t step) const;
  StepMetrics accumulate(std::span<const EncodedExample* const> examples, GateMeans& gates);
  std::size_t most_passes(std::span<const EncodedExample* const> examples) const;
  Variable penalty_of(const Gates& gates);
  void penalise(std::span<const EncodedExample* const> examples, std::span<const EncodedExample* const> own,
                StepMetrics& metrics);
  void regularise(StepMetrics& metrics);
  void check_ranks() const;
  void check_ranks_do_the_same(bool keeps, bool resume) const;
  Variable of_all_ranks(const Variable& own) const;
  void sum_over_ranks(StepMetrics& metrics, GateMeans& gates, std::vector<Tensor>& gradients);
  // Whether a signal to stop has come by the latest step.
  bool stops() const;
  void share_prepared() const;
  // Nothing where a signal cut it short.
  std::optional<ValidationRecord> measure_validation(std::int64_t step) const;
  std::optional<std::vector<TaskScore>> measure_scores(std::size_t task) const;
  bool prepare();
  // False if a signal cut it short.
  bool begin_phase(std::size_t phase, bool at_its_start);
  // Shows a method the prompts of these examples. False if a signal cut that short.
  using ShowPrompts = std::function<void(std::span<const std::vector<std::int32_t>>, const OnRead&)>;
  bool show_prompts(std::span<const Turns> examples, const ShowPrompts& show) const;
  // Whether a task is learnt after `step` steps whose scores are not in the result.
  bool scoring_is_due(std::int64_t step, const TrainResult& result) const;
  // False if a signal cut it short.
  bool score_tasks(TrainResult& result, std::optional<LineLog>& log);
  // Indices into the method's tasks.
  std::vector<std::int32_t> tasks_of(std::span<const EncodedExample* const> examples) const;
  std::string training_data() const;
  std::vector<Tensor> take_gradients();
  // What a run has to say where numbers are no longer finite, and where it keeps its adapter.
  struct Place {
    std::int64_t step;  // from 1
    const std::filesystem::path& folder;
    const TrainResult& result;
  };
  // Throws Error, with what is to be kept put back and saved.
  [[noreturn]] void fail_as_not_finite(std::string_view what, const Place& place);
  std::string keep_after_failure(const Place& place);
  void remember_good_values();
  // A validation that is due after `step` steps and is not in the result.
  bool validation_is_due(std::int64_t step, const TrainResult& result) const;
  // False if a signal cut it short.
  bool validate(const std::filesystem::path& folder, std::int64_t step, TrainResult& result,
                std::optional<LineLog>& log);
  void keep_best(TrainResult& result);
  void save(const std::filesystem::path& folder, const TrainResult& result);
  void save_state(const std::filesystem::path& file, const SafeTensorsMetadata& about) const;
  void save_good_adapter(const std::filesystem::path& folder) const;
  SafeTensors open_state(const std::filesystem::path& folder) const;
  // The steps and the validations that were done when the state was saved.
  TrainResult load(const std::filesystem::path& folder);
  void load_best(const SafeTensors& file);

  const LanguageModel& model_;
  Method& method_;
  TrainOptions options_;
  std::vector<std::string> task_names_;
  std::vector<EncodedExample> examples_;
  std::vector<Turns> turns_;  // of each example
  std::vector<std::pair<std::string, Skipped>> skipped_;
  std::int64_t n_cut_ = 0;
  std::vector<Phase> phases_;
  std::int64_t total_steps_ = 0;
  TrainingMoment moment_;
  std::vector<std::string> notices_;
  const Ranks& ranks_;
  Optimizer optimizer_;
  std::vector<Tensor> values_of_all_;  // the method's parameters
  // The parameters apart from the model's own, and a copy of them from before the latest update; there from the start,
  // so that no step after the first allocates.
  std::vector<Tensor> adapter_values_, good_values_;
  bool has_good_values_ = false;
  std::optional<Validation> validation_;
  // What the ranks have agreed on in the latest step, and whether the first asks for a save in the next.
  struct Agreed {
    bool stop = false, save = false;
  };
  Agreed agreed_;
  bool save_is_due_ = false;
  ScoreTasks score_;  // unset: tasks are not scored while they are learnt
  // With options.keep "best": the parameters at the step of the lowest validation cross-entropy so far; else empty.
  std::vector<Tensor> best_values_;
};

}  // namespace csreft
