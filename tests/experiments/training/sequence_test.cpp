// Tasks learnt one after the other: --order sequence, and the method that grows.
#include "experiments/training/sequence.h"

#include <iterator>

#include <doctest/doctest.h>

#include "core/base/atomic_file.h"
#include "tests/experiments/training/trainer_tools.h"

using csreft::SequenceRecord;
using csreft::Task;
using csreft::TaskScore;
using csreft::Trainer;

namespace {

// Two tasks, four examples each, that begin with other letters.
std::vector<Task> two_tasks() {
  Task first = letter_task(4), second = letter_task(4);
  for (auto& example : second.examples) example.instruction = "zz " + example.instruction + " zz";
  first.name = "one.train";
  second.name = "two.train";
  return {first, second};
}

csreft::MethodOptions options_of_two(std::string_view method) {
  return small_options_of(method, {{"tasks", nlohmann::json::array({"one", "two"})}});
}

csreft::TrainOptions in_sequence() {
  auto options = small_options();
  options.order = "sequence";
  options.epochs = 4;  // of one step each: all examples of a task
  return options;
}

std::vector<double> part(const std::vector<double>& losses, std::ptrdiff_t begin) {
  return {losses.begin() + begin, losses.begin() + begin + 4};
}

// What run() is given for scores: the number of the call.
Trainer::ScoreTasks counting(int& calls) {
  return [&calls](std::size_t task) {
    ++calls;
    return std::optional(std::vector<TaskScore>{
        {.task = "one.test", .metric = "accuracy", .value = 0.25 * static_cast<double>(task), .n = 8}});
  };
}

std::vector<Task> tests_of(std::initializer_list<const char*> names) {
  std::vector<Task> tests;
  for (const char* name : names) tests.push_back({.name = name, .examples = letter_task(2).examples});
  return tests;
}

}  // namespace

TEST_CASE("any method learns tasks in sequence, each as in a run of its own that goes on from the last") {
  for (const char* name : {"lora", "loreft"}) {
    CAPTURE(name);
    const auto method = create(small_options_of(name)), by_hand = create(small_options_of(name));
    Trainer trainer(model(), *method, two_tasks(), in_sequence());
    CHECK(trainer.total_steps() == 8);
    const auto losses = trainer.run().losses();
    auto alone = in_sequence();
    alone.order = "mixed";
    std::vector<double> expected;
    for (const Task& task : two_tasks()) {
      std::ranges::copy(Trainer(model(), *by_hand, std::vector<Task>{task}, alone).run().losses(),
                        std::back_inserter(expected));
    }
    CHECK(largest_difference(part(losses, 0), part(expected, 0)) == 0.0);
    // The second task's examples come in another order: sums of f32 in another order, on losses around 6.
    CHECK(largest_difference(part(losses, 4), part(expected, 4)) < 1e-4);
    auto mixed = in_sequence();
    mixed.order = "mixed";
    const auto other = create(small_options_of(name));
    CHECK(Trainer(model(), *other, two_tasks(), mixed).run().losses().size() == 8);
    CHECK(largest_difference(Trainer(model(), *create(small_options_of(name)), two_tasks(), mixed).run().losses(),
                             losses) > 1e-3);
  }
}

TEST_CASE("before the first step of a sequence, a router sees the prompts of the first task alone") {
  auto options = in_sequence();
  options.max_steps = 1;
  const auto method = create(normed_options()), first = create(normed_options()), both = create(normed_options());
  Trainer(model(), *method, two_tasks(), options).run();
  std::vector<std::vector<std::int32_t>> prompts;
  for (const Task& task : two_tasks()) {
    for (auto& ids : csreft::encode_prompts(model(), task.examples, "")) prompts.push_back(std::move(ids));
  }
  first->prepare(std::span(prompts).first(4));
  both->prepare(prompts);
  const auto mean_of = [](const csreft::Method& of) { return of.buffers()[0].second.to(csreft::Device{}); };
  CHECK(largest_difference(mean_of(*method), mean_of(*first)) == 0.0);
  CHECK(largest_difference(mean_of(*method), mean_of(*both)) > 1e-4);
}

TEST_CASE("all tasks are scored after each, a line a task; not where tasks are mixed") {
  const TemporaryFolder folder;
  for (const bool sequence : {true, false}) {
    CAPTURE(sequence);
    auto options = in_sequence();
    if (!sequence) options.order = "mixed";
    const auto method = create(small_options_of("loreft"));
    Trainer trainer(model(), *method, two_tasks(), options);
    int calls = 0;
    trainer.after_each_task(counting(calls));
    const auto result = trainer.run(sequence ? folder.path() : std::filesystem::path());
    CHECK(calls == (sequence ? 2 : 0));
    CHECK(result.sequence.size() == (sequence ? 2 : 0));
    CHECK(trainer.sequence() == (sequence ? std::vector<std::string>{"one", "two"} : std::vector<std::string>{}));
  }
  CHECK(folder.read("sequence.jsonl") ==
        "{\"task\":\"one\",\"tasks\":{\"one.test\":{\"accuracy\":0.0,\"n\":8}}}\n"
        "{\"task\":\"two\",\"tasks\":{\"one.test\":{\"accuracy\":0.25,\"n\":8}}}\n");
}

TEST_CASE("a sequence that is stopped at any step, and in the middle of scores, ends in the same bits and lines") {
  for (const char* name : {"loreft", "growing", "olora"}) {
    CAPTURE(name);
    const TemporaryFolder whole, parts;
    const auto method = create(options_of_two(name));
    Trainer trainer(model(), *method, two_tasks(), in_sequence());
    int calls = 0;
    trainer.after_each_task(counting(calls));
    const auto losses = trainer.run(whole.path()).losses();
    REQUIRE(losses.size() == 8);

    int starts = 0, asked = 0;
    for (bool interrupted = true; interrupted && starts < 30; ++starts) {
      const auto again = create(options_of_two(name));
      Trainer resumed(model(), *again, two_tasks(), in_sequence());
      // Every second time it is asked for scores they are cut short; else a signal comes in a step.
      int unused = 0;
      const auto score = counting(unused);
      bool cut = false;
      resumed.after_each_task([&](std::size_t task) {
        cut = asked++ % 2 == 0;
        return cut ? std::nullopt : score(task);
      });
      const csreft::InterruptGuard guard;
      std::raise(SIGINT);
      const auto result = resumed.run(parts.path(), /*resume=*/starts > 0);
      interrupted = result.sequence.size() < 2;
      if (interrupted) continue;
      CHECK(result.losses() == losses);
      CHECK(values(*again) == values(*method));
    }
    CHECK(starts > 8);
    CHECK(asked == 4);
    CHECK(parts.read("sequence.jsonl") == whole.read("sequence.jsonl"));
    CHECK(parts.read("adapter/adapter.safetensors") == whole.read("adapter/adapter.safetensors"));
    const csreft::InterruptGuard no_signal_yet;
  }
}

TEST_CASE("lines that were written after the last save are written again, and those that are missing are told of") {
  const TemporaryFolder folder;
  auto options = in_sequence();
  const auto run = [&](bool resume) {
    const auto method = create(small_options_of("loreft"));
    Trainer trainer(model(), *method, two_tasks(), options);
    int calls = 0;
    trainer.after_each_task(counting(calls));
    return trainer.run(folder.path(), resume).sequence.size();
  };
  CHECK(run(false) == 2);
  const std::string lines = folder.read("sequence.jsonl");
  folder.write("sequence.jsonl", lines + lines.substr(0, 20));
  CHECK(run(true) == 2);
  CHECK(folder.read("sequence.jsonl") == lines);
  folder.write("sequence.jsonl", "");
  CHECK(contains(error_text([&] { run(true); }), "has the scores of 0 tasks, but the state was saved after 2"));
  folder.write("sequence.jsonl", "{\"task\": 3}\n{}\n");
  CHECK(contains(error_text([&] { run(true); }), "sequence.jsonl, line 1: `tasks` is missing"));
  folder.write("sequence.jsonl", "{\"task\": 3, \"tasks\": {}}\n{}\n");
  CHECK(contains(error_text([&] { run(true); }), "`task` is number"));
}

TEST_CASE("a sequence has two tasks or more, and keeps the last step") {
  const auto method = create(small_options_of("loreft"));
  auto options = in_sequence();
  const auto refusal = [&](const std::vector<Task>& tasks) {
    return error_text([&] { static_cast<void>(Trainer(model(), *method, tasks, options).total_steps()); });
  };
  CHECK(contains(refusal({two_tasks().front()}), "--order sequence has one task, one.train, to learn"));
  options.keep = "best";
  CHECK(contains(refusal(two_tasks()), "one, two are learnt in sequence: expected --keep last"));
}

TEST_CASE("growing on one task is its formula's own method; the next one starts from the model, in another subspace") {
  auto options = in_sequence();
  options.order = "mixed";
  auto method_options = options_of_two("growing");
  method_options["edit"] = "direft";
  const auto growing = create(method_options);
  const auto losses = Trainer(model(), *growing, two_tasks(), options).run().losses();
  REQUIRE(losses.size() == 8);
  std::vector<std::vector<double>> alone;
  for (const Task& task : two_tasks()) {
    const auto direft = create(small_options_of("direft"));
    alone.push_back(Trainer(model(), *direft, std::vector<Task>{task}, options).run().losses());
  }
  CHECK(largest_difference(part(losses, 0), alone[0]) == 0.0);
  // Both start as the identity: the same examples in another order. Then R, which is another, shows.
  CHECK(std::abs(losses[4] - alone[1][0]) < 1e-5);
  CHECK(largest_difference(part(losses, 4), alone[1]) > 1e-4);
}

TEST_CASE("while a task is learnt, earlier subspaces keep their bits, and all stay orthogonal to each other") {
  // Every optimizer, for some let R leave the orthonormal matrices, or the span's complement.
  for (const auto* rule : csreft::optimizer_rules()) {
    CAPTURE(rule->name);
    auto options = in_sequence();
    options.epochs = 20;
    options.optimizer.select(rule->name);
    const auto method = create(options_of_two("growing"));
    Trainer trainer(model(), *method, two_tasks(), options);
    std::vector<float> after_first;
    const std::size_t half = values(*method).size() / 2;
    trainer.after_each_task([&](std::size_t task) {
      if (task == 0) after_first = values(*method);
      return std::optional(std::vector<TaskScore>{});
    });
    trainer.run();
    const auto after_second = values(*method);
    REQUIRE(after_first.size() == after_second.size());
    CHECK(
        std::equal(after_first.begin(), after_first.begin() + static_cast<std::ptrdiff_t>(half), after_second.begin()));
    CHECK(!std::equal(after_first.begin() + static_cast<std::ptrdiff_t>(half), after_first.end(),
                      after_second.begin() + static_cast<std::ptrdiff_t>(half)));
    for (const auto& stack : method->routing()->bases()) {
      const csreft::Tensor R = stack.to(csreft::Device{});
      const csreft::Tensor products =
          csreft::ops::matmul(R.slice(0, 2), R.slice(2, 4), csreft::ops::Transpose::no, csreft::ops::Transpose::yes);
      CHECK(largest_element(products) < 1e-6);  // rounding of f32
      CHECK(largest_element(R) > 1e-2);
    }
  }
}

TEST_CASE("without labels, prompts of learnt tasks find their subspaces") {
  const auto method = create(options_of_two("growing"));
  auto options = in_sequence();
  Trainer(model(), *method, two_tasks(), options).run();
  csreft::EvaluationOptions evaluation;
  evaluation.quiet = true;
  const auto tasks = two_tasks();
  CHECK(evaluate(model(), method.get(), tasks[0], evaluation).mean_gates == std::vector<double>{1.0, 0.0});
  CHECK(evaluate(model(), method.get(), tasks[1], evaluation).mean_gates == std::vector<double>{0.0, 1.0});
  CHECK(evaluate(model(), method.get(), tasks[1], evaluation).chosen == std::vector<std::int64_t>{0, 4});
}

TEST_CASE("each task that is learnt needs one test file, and all one metric") {
  const std::vector<std::string> tasks{"one", "two"};
  const auto refusal = [&](const std::vector<Task>& tests) {
    return error_text([&] { csreft::check_sequence(tasks, tests); });
  };
  CHECK(refusal(tests_of({"two.test", "other", "one.test"})).empty());
  CHECK(contains(refusal(tests_of({"one.test"})), "two has no test files: expected one --test file, such as two.test"));
  CHECK(contains(refusal(tests_of({"one.test", "one", "two.test"})), "one has 2 test files"));
  auto mixed = tests_of({"one.test", "two.test"});
  mixed[1].examples[0].answer.reset();
  CHECK(contains(refusal(mixed), "two.test is scored by nll where others are by accuracy"));
}

TEST_CASE("the matrix of a sequence has its tasks' scores in the order of learning, and then its measures") {
  const auto score = [](const char* task, const char* metric, double value) {
    return TaskScore{.task = task, .metric = metric, .value = value, .n = 4};
  };
  const std::vector<std::string> tasks{"b", "a"};
  for (const bool accuracy : {true, false}) {
    const char* metric = accuracy ? "accuracy" : "nll";
    std::vector<SequenceRecord> records{{"b", {score("a.test", metric, 0.25), score("b.test", metric, 0.75)}}};
    const std::vector<TaskScore> untrained{score("a.test", metric, 0.5), score("b.test", metric, 0.0)};
    const auto first = csreft::sequence_matrix(tasks, records, untrained);
    CHECK(first.scores == std::vector<std::vector<double>>{{0.75, 0.25}});
    CHECK_FALSE(csreft::transfer_of(first).has_value());
    CHECK_FALSE(csreft::to_json(first).contains("average"));
    records.push_back({"a", {score("a.test", metric, 1.0), score("b.test", metric, 0.5)}});
    const auto json = csreft::to_json(csreft::sequence_matrix(tasks, records, untrained));
    const double better = accuracy ? 1.0 : -1.0;
    CHECK(json["tasks"] == tasks);
    CHECK(json["metric"] == metric);
    CHECK(json["scores"] == std::vector<std::vector<double>>{{0.75, 0.25}, {0.5, 1.0}});
    CHECK(json["untrained"] == std::vector<double>{0.0, 0.5});
    CHECK(json["average"] == 0.75);
    CHECK(json["backward_transfer"] == better * -0.25);
    CHECK(json["forward_transfer"] == better * -0.25);
    CHECK(json["forgetting"] == better * 0.25);
    CHECK(csreft::to_json(csreft::sequence_matrix(tasks, records, {}))["forward_transfer"].is_null());
  }
}
