#include "experiments/training/validation.h"

#include <algorithm>
#include <csignal>

#include <doctest/doctest.h>

#include "core/ops/ops.h"
#include "experiments/cli/progress.h"
#include "experiments/training/trainer.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"
#include "tests/tiny_chat.h"

namespace {

using csreft::Task;
using csreft::Trainer;
using csreft::TrainOptions;
using csreft::TrainResult;

const csreft::LanguageModel& model() {
  static const TinyChat chat;
  static const csreft::LanguageModel loaded = chat.load();
  return loaded;
}

std::unique_ptr<csreft::Method> small_method() {
  const csreft::MethodOptions options{
      "loreft", {{"layers", "0,1"}, {"rank", 2}, {"positions", "f5+l5"}, {"edit_start", "identity"}}};
  return csreft::create_method(options, model().llama, /*seed=*/5);
}

// The prompts of the training with other responses: what is learnt there makes them less likely, and the best step is
// not the last.
Task contrary_task() {
  Task task = letter_task(6);
  for (auto& example : task.examples) example.output = "?!#";
  return task;
}

TrainOptions options(const std::string& keep) {
  TrainOptions options;
  options.batch = 4;
  options.epochs = 4;
  options.lr = 0.3;
  options.seed = 3;
  options.quiet = true;
  options.validate_every = 2;
  options.keep = keep;
  return options;
}

struct Trained {
  TrainResult result;
  std::vector<csreft::Tensor> values;
};

Trained train(const TrainOptions& options, const std::filesystem::path& folder, bool resume = false,
              bool interrupt = false, std::vector<Task> validation = {contrary_task()}) {
  const auto method = small_method();
  Trainer trainer(model(), *method, std::vector<Task>{letter_task(12)}, options);
  csreft::EvaluationOptions evaluation;
  if (!validation.empty()) trainer.validate_on(std::move(validation), evaluation);
  const csreft::InterruptGuard guard;
  if (interrupt) std::raise(SIGINT);
  Trained out{trainer.run(folder, resume), {}};
  for (const auto& p : method->parameters()) out.values.push_back(p.value.value().clone());
  return out;
}

bool same_values(const Trained& a, const Trained& b) {
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    const auto left = a.values[i].span<float>(), right = b.values[i].span<float>();
    if (!std::equal(left.begin(), left.end(), right.begin(), right.end())) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("validation measures what the scoring of the same examples measures") {
  const auto method = small_method();
  const Task task = letter_task(6);
  csreft::EvaluationOptions evaluation;
  evaluation.quiet = true;
  const auto record = csreft::Validation(model(), {task}, evaluation).measure(*method, 7);
  REQUIRE(record.has_value());
  CHECK(record->step == 7);
  CHECK(record->score == evaluate(model(), method.get(), task, evaluation).value);
  Task unanswered = task;
  for (auto& e : unanswered.examples) e.answer.reset();
  // The same sum divided once more: rounding of f64.
  CHECK(record->cross_entropy == doctest::Approx(evaluate(model(), method.get(), unanswered, evaluation).value));
  CHECK_FALSE(csreft::Validation(model(), {unanswered}, evaluation).measure(*method, 7)->score.has_value());
}

TEST_CASE("training is measured every so many steps and at the end, and is the same without it") {
  const TemporaryFolder folder;
  auto every = options("last");
  every.validate_every = 5;
  const auto measured = train(every, folder.path());
  std::vector<std::int64_t> steps;
  for (const auto& record : measured.result.validation) steps.push_back(record.step);
  CHECK(steps == std::vector<std::int64_t>{5, 10, 12});
  CHECK(csreft::read_validation(folder / "validation.jsonl", 9).size() == 3);
  CHECK(measured.result.kept_step == 0);
  every.validate_every = 0;  // an epoch has three steps
  CHECK(train(every, {}).result.validation.front().step == 3);
  const auto alone = train(every, {}, /*resume=*/false, /*interrupt=*/false, /*validation=*/{});
  CHECK(alone.result.losses() == measured.result.losses());
  CHECK(same_values(alone, measured));
}

TEST_CASE("the best step is kept, whether the run was stopped or not") {
  const TemporaryFolder whole, parts, last;
  const auto best = train(options("best"), whole.path());
  const auto& records = best.result.validation;
  REQUIRE(best.result.kept_step < 12);  // else this tests nothing
  CHECK(best.result.kept_step == csreft::best_of(records).step);
  CHECK_FALSE(same_values(best, train(options("last"), last.path())));
  CHECK(whole.read("adapter/adapter.safetensors") != last.read("adapter/adapter.safetensors"));

  // Each part does one step: those that are due for a validation leave it to the part that follows.
  for (int step = 0; step < 11; ++step) {
    CHECK(train(options("best"), parts.path(), /*resume=*/step > 0, /*interrupt=*/true).result.interrupted);
  }
  const auto resumed = train(options("best"), parts.path(), /*resume=*/true);
  CHECK(resumed.result.losses() == best.result.losses());
  CHECK(resumed.result.kept_step == best.result.kept_step);
  CHECK(same_values(resumed, best));
  CHECK(parts.read("validation.jsonl") == whole.read("validation.jsonl"));
  CHECK(parts.read("adapter/adapter.safetensors") == whole.read("adapter/adapter.safetensors"));
}

TEST_CASE("a run that diverges keeps the best step that was asked for, in memory and in its folder") {
  const TemporaryFolder folder;
  auto some = options("best");
  some.max_steps = 4;
  const auto before = train(some, folder.path());
  const std::string adapter = folder.read("adapter/adapter.safetensors");
  // The fifth step moves the values so far that the sixth has no loss.
  some.max_steps = 0;
  some.lr = 1e30;
  const auto method = small_method();
  Trainer trainer(model(), *method, std::vector<Task>{letter_task(12)}, some);
  trainer.validate_on({contrary_task()}, {});
  const auto text = error_text([&] { return trainer.run(folder.path(), /*resume=*/true).steps.size(); });
  const std::string kept = fmt::format("the best adapter so far, of step {}, is in", before.result.kept_step);
  CHECK(contains(text, "the loss is not finite at step 6 of 12, " + kept));
  CHECK(folder.read("adapter/adapter.safetensors") == adapter);
  Trained after{{}, {}};
  for (const auto& p : method->parameters()) after.values.push_back(p.value.value());
  CHECK(same_values(after, before));

  some.validate_every = 1;
  const auto again = small_method();
  Trainer measured(model(), *again, std::vector<Task>{letter_task(12)}, some);
  measured.validate_on({contrary_task()}, {});
  CHECK(contains(error_text([&] { return measured.run(folder.path(), /*resume=*/true).steps.size(); }),
                 "the validation cross-entropy is not finite at step 5 of 12, " + kept));
  CHECK(folder.read("adapter/adapter.safetensors") == adapter);
}

TEST_CASE("the values at the best step are those of a run that ends there") {
  // The adapter of step n is what scores the cross-entropy that was measured after step n.
  const auto kept = train(options("best"), {});
  const auto method = small_method();
  for (std::size_t i = 0; i < kept.values.size(); ++i) {
    csreft::ops::copy_(method->parameters()[i].value.value(), kept.values[i]);
  }
  csreft::EvaluationOptions evaluation;
  const auto record = csreft::Validation(model(), {contrary_task()}, evaluation).measure(*method, 0);
  CHECK(record->cross_entropy == csreft::best_of(kept.result.validation).cross_entropy);
}

TEST_CASE("a validation.jsonl that is not one is refused") {
  const TemporaryFolder folder;
  CHECK(csreft::read_validation(folder / "absent", 1).empty());
  for (const char* line : {"{", "[]", R"({"step": 1})", R"({"step": "1", "cross_entropy": 1.0})",
                           R"({"step": 1, "cross_entropy": null})"}) {
    CAPTURE(line);
    const auto file = folder.write("validation.jsonl", std::string(line) + "\n");
    CHECK(contains(error_text([&] { return csreft::read_validation(file, 1).size(); }), "validation.jsonl, line 1"));
  }
}
