#include "experiments/training/trainer.h"

#include <doctest/doctest.h>

#include "reft/stiefel/stiefel.h"
#include "tests/experiments/training/trainer_tools.h"

using csreft::Task;
using csreft::Trainer;

TEST_CASE("the same seed gives the same bits") {
  const auto first = small_method(), second = small_method(), third = small_method();
  const auto losses = train(*first, small_options()).losses();
  CHECK(losses.size() == 6);
  CHECK(train(*second, small_options()).losses() == losses);
  CHECK(values(*first) == values(*second));
  auto other_seed = small_options();
  other_seed.seed = 4;
  CHECK(train(*third, other_seed).losses() != losses);
}

TEST_CASE("one thread or two: the losses agree to 1e-5") {
  // Sums are made in another order: rounding of f32, at losses around 6.
  const int before = csreft::threads();
  const auto one = losses_with(1), two = losses_with(2);
  csreft::set_threads(before);
  CHECK(largest_difference(one, two) < 1e-5);
}

TEST_CASE("a batch in several passes gives the loss and the gradient of one pass") {
  // 1e-5 of losses around 6, over all steps: the gradients agree as well, or the later losses would not.
  // l1 is a mean over examples; mi is not, and needs the gates of all passes at once, whatever the router reads.
  struct Setting {
    const char *penalty, *gate, *input;
  };
  for (const auto& [penalty, gate, input] : {Setting{"none", "soft", "prompt_mean"},
                                             {"l1", "soft", "prompt_mean"},
                                             {"mi", "softmax", "prompt_mean"},
                                             {"mi", "softmax", "hidden"},
                                             {"l1", "soft", "tokens"}}) {
    const std::string name(penalty);
    const bool by_token = std::string_view(input) == "tokens";
    const auto method_options = small_options_of("csreft", {{"penalty", name},
                                                            {"gate", gate},
                                                            {"router_input", by_token ? "hidden" : input},
                                                            {"gate_scope", by_token ? "token" : "prompt"},
                                                            {"lambda", name == "none" ? 0.0 : 0.3}});
    std::vector<std::vector<double>> losses, norms;
    for (const std::int64_t tokens : {4096, 60, 1}) {
      const auto method = create(method_options);
      auto options = small_options();
      options.tokens_per_pass = tokens;
      const auto result = train(*method, options);
      losses.push_back(result.losses());
      for (auto& n = norms.emplace_back(); const auto& m : result.steps) n.push_back(m.gradient_norm);
    }
    CAPTURE(penalty);
    for (const std::size_t other : {1U, 2U}) {
      CHECK(largest_difference(losses[0], losses[other]) < 1e-5);
      CHECK(largest_difference(norms[0], norms[other]) < 1e-4);
    }
  }
}

TEST_CASE("a run that is stopped and resumed ends as one that is not, bit for bit") {
  const auto options = small_options();
  for (const auto& preset : csreft::presets()) {
    if (preset.method.method == "full") continue;  // has a test of its own
    CAPTURE(preset.name);
    auto method_options = with_preset(preset, small_options_of(preset.method.method));
    for (const auto& [name, value] : preset.method.values.items()) method_options[name] = value;
    method_options["layers"] = "0,1";
    method_options["rank"] = 2;
    const auto make = [&] { return create(method_options); };
    const TemporaryFolder whole, parts;
    const auto method = make();
    const auto losses = train(*method, options, whole.path()).losses();

    interrupt_after_each_step(options, parts.path(), 4, method_options);
    const auto resumed = make();
    Trainer trainer(model(), *resumed, std::vector<Task>{letter_task(12)}, options);
    const auto result = trainer.run(parts.path(), /*resume=*/true);
    CHECK_FALSE(result.interrupted);
    CHECK(result.losses() == losses);
    CHECK(values(*resumed) == values(*method));
    CHECK(parts.read("adapter/adapter.safetensors") == whole.read("adapter/adapter.safetensors"));
    CHECK(parts.read("adapter/adapter.json") == whole.read("adapter/adapter.json"));
  }
}

TEST_CASE("a line that was cut short when a run died does not keep it from going on") {
  const TemporaryFolder folder;
  interrupt_after_each_step(small_options(), folder.path(), 1, normed_options());
  folder.write("metrics.jsonl", folder.read("metrics.jsonl") + R"({"step": 2, "lo)");
  const auto method = create(normed_options());
  Trainer trainer(model(), *method, std::vector<Task>{letter_task(12)}, small_options());
  CHECK(trainer.run(folder.path(), /*resume=*/true).steps.size() == 6);
  CHECK(csreft::read_metrics(folder / "metrics.jsonl").size() == 6);
}

TEST_CASE("a state that is missing or of another run is refused") {
  const TemporaryFolder folder;
  const auto resume = [&](const std::string& name) {
    return error_text([&] {
      const auto method = small_method(name);
      Trainer trainer(model(), *method, std::vector<Task>{letter_task(12)}, small_options());
      return trainer.run(folder.path(), /*resume=*/true).steps.size();
    });
  };
  CHECK(contains(resume("csreft"), "state.safetensors"));
  interrupt_after_each_step(small_options(), folder.path(), 1, normed_options());
  CHECK(contains(resume("loreft"), "state.safetensors"));
}

TEST_CASE("metrics.jsonl has a line for each step, with what the result says") {
  const TemporaryFolder folder;
  const auto method = small_method();
  const auto result = train(*method, small_options(), folder.path());
  const auto lines = csreft::read_metrics(folder / "metrics.jsonl");
  REQUIRE(lines.size() == result.steps.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    CHECK(lines[i].step == static_cast<std::int64_t>(i) + 1);
    CHECK(lines[i].loss == result.steps[i].loss);
    CHECK(lines[i].tokens > 0);
    CHECK(lines[i].gradient_norm > 0);
    CHECK(lines[i].lr > 0);
    CHECK(lines[i].gates == result.steps[i].gates);
    REQUIRE(lines[i].gates.at("letters").size() == 2);
    CHECK(lines[i].gates.at("letters")[0] > 0.0);
  }
}

TEST_CASE("a gate that is decided by the task is told it in training and in scoring") {
  Task first = letter_task(6), second = letter_task(6);
  first.name = "one.train";
  second.name = "two.train";
  const auto method =
      create(small_options_of("csreft", {{"gate", "onehot"}, {"tasks", nlohmann::json::array({"one", "two"})}}));
  auto options = small_options();
  options.max_steps = 2;
  const auto result = Trainer(model(), *method, std::vector<Task>{first, second}, options).run();
  CHECK(result.steps[0].gates.at("one.train") == std::vector{1.0, 0.0});
  CHECK(result.steps[0].gates.at("two.train") == std::vector{0.0, 1.0});

  second.name = "two.test";
  csreft::EvaluationOptions evaluation;
  evaluation.quiet = true;
  CHECK(evaluate(model(), method.get(), second, evaluation).mean_gates == std::vector{0.0, 1.0});
  evaluation.task = "one";
  const auto score = evaluate(model(), method.get(), second, evaluation);
  CHECK(score.mean_gates == std::vector{1.0, 0.0});
  CHECK(score.chosen == std::vector<std::int64_t>{6, 0});
  second.name = "three.test";
  evaluation.task = "";
  CHECK(contains(error_text([&] { check_task(model(), method.get(), second, evaluation); }), "no task 'three'"));
}

TEST_CASE("every method learns a small task by heart, and R stays orthonormal") {
  for (const auto* entry : csreft::methods()) {
    if (entry->name == "full") continue;  // has a test of its own, with a model that can be trained
    CAPTURE(entry->name);
    const auto method = small_method(entry->name);
    auto options = small_options();
    options.epochs = 40;
    options.lr = 5e-2;
    const auto losses = train(*method, options).losses();
    // A random model of 16 dimensions cannot be moved all the way: far below the start is what counts.
    CHECK(losses.back() < 0.8 * losses.front());
    for (const auto& p : method->parameters()) {
      if (p.manifold != csreft::ParameterManifold::stiefel) continue;
      CAPTURE(p.name);
      CHECK(csreft::orthonormality_error(p.value.value().to(csreft::Device()), p.block_rows) < 1e-5);
    }
  }
}

TEST_CASE("a loss that is no longer finite says at which step, and the last good values stay") {
  const TemporaryFolder folder;
  const auto method = small_method("loreft");
  auto options = small_options();
  options.lr = 1e30;
  const auto text = error_text([&] { return train(*method, options, folder.path()).steps.size(); });
  CHECK(contains(text, "not finite at step 2 of 6"));
  CHECK(contains(text, "adapter"));
  CHECK(values(*method) == values(*small_method("loreft")));  // those before step 1, the only ones with a finite loss
  const auto description = csreft::read_adapter_description(folder / "adapter");
  CHECK(values(*csreft::load_adapter(folder / "adapter", description, model())) == values(*method));
  CHECK(csreft::read_metrics(folder / "metrics.jsonl").size() == 1);
}

TEST_CASE("updated parameters that are not finite are found before they are saved, and at the end") {
  auto options = small_options();
  options.lr = 1e39;  // beyond f32
  options.max_steps = 1;
  for (const bool saves : {true, false}) {
    const TemporaryFolder folder;
    const auto method = small_method("loreft");
    const auto text = error_text(
        [&] { return train(*method, options, saves ? folder.path() : std::filesystem::path()).steps.size(); });
    CHECK(contains(text, "the updated parameters are not finite at step 1 of 1"));
    CHECK(values(*method) == values(*small_method("loreft")));
    CHECK_FALSE(std::filesystem::exists(folder / "state.safetensors"));
    CHECK(std::filesystem::exists(folder / "adapter") == saves);
  }
}

TEST_CASE("a hang-up saves the state, and the training goes on") {
  // The second step fails: what is saved then was saved after the first.
  auto options = small_options();
  options.lr = 1e30;
  options.save_every = 0.0;
  const auto fails_after = [&](bool hang_up, const std::filesystem::path& folder) {
    const csreft::InterruptGuard guard;
    if (hang_up) std::raise(SIGHUP);
    const auto method = small_method("loreft");
    CHECK(contains(error_text([&] { return train(*method, options, folder).steps.size(); }), "step 2 of 6"));
    return std::filesystem::exists(folder / "state.safetensors");
  };
  const TemporaryFolder quiet, asked;
  CHECK_FALSE(fails_after(false, quiet.path()));
  CHECK(fails_after(true, asked.path()));
}

TEST_CASE("an empty response trains its end; a task with no room for a response is refused") {
  Task task = letter_task(4);
  for (auto& e : task.examples) e.output = "";
  const auto method = small_method();
  auto options = small_options();
  const auto result = Trainer(model(), *method, std::vector<Task>{task}, options).run();
  CHECK(std::ranges::all_of(result.losses(), [](double x) { return std::isfinite(x) && x > 0; }));

  options.max_length = 5;
  CHECK(contains(error_text([&] { return Trainer(model(), *method, std::vector<Task>{task}, options).total_steps(); }),
                 "--max-length 5"));
  CHECK(contains(error_text([&] { return Trainer(model(), *method, std::vector<Task>{}, options).total_steps(); }),
                 "no training example"));
}

TEST_CASE("what is cut at the greatest length is said") {
  const auto method = small_method();
  auto options = small_options();
  CHECK(Trainer(model(), *method, std::vector<Task>{letter_task(4)}, options).notices().empty());
  options.max_length = 45;
  Task task = letter_task(4);
  for (auto& e : task.examples) e.output = std::string(60, 'x');
  const Trainer trainer(model(), *method, std::vector<Task>{task}, options);
  REQUIRE(trainer.notices().size() == 1);
  CHECK(contains(trainer.notices()[0], "4 of 4 examples"));
}

TEST_CASE("a penalty that compares a step's examples is said to be 0 in batches of one") {
  auto options = normed_options({{"gate", "top1"}, {"penalty", "mi"}, {"lambda", 0.3}});
  const auto notices = [&](std::int64_t batch) {
    const auto method = create(options);
    auto training = small_options();
    training.batch = batch;
    return Trainer(model(), *method, std::vector<Task>{letter_task(4)}, training).notices();
  };
  REQUIRE(notices(1).size() == 1);
  CHECK(contains(notices(1)[0], "--batch 2"));
  CHECK(notices(2).empty());
  options["penalty"] = "entropy";
  CHECK(notices(1).empty());
}

TEST_CASE("examples without room for a response are left out and counted, with what the reader left out") {
  const auto method = small_method();
  auto options = small_options();
  options.max_length = 60;
  Task task = letter_task(5);
  task.examples[2].instruction = std::string(60, 'x');
  task.skipped.without_response = 2;
  const Trainer trainer(model(), *method, std::vector<Task>{task}, options);
  CHECK(trainer.examples().size() == 4);
  REQUIRE(trainer.notices().size() == 1);
  CHECK(trainer.notices()[0] == "letters: skipped 3 of 7: 1 too long, 2 without a response");
  CHECK(trainer.skipped()[0].second.too_long == 1);
  CHECK(trainer.skipped()[0].second.without_response == 2);
}

TEST_CASE("the turns of a conversation are learnt in one step, or the last alone") {
  Task task = letter_task(4);
  for (auto& e : task.examples) e.history = {{"user", "u"}, {"assistant", "a"}};
  const auto method = small_method();
  auto options = small_options();
  options.batch = 2;
  Trainer all(model(), *method, std::vector<Task>{task}, options);
  CHECK(all.examples().size() == 8);
  CHECK(all.total_steps() == 4);
  const auto steps = all.run().steps;
  options.loss_on = "last";
  const auto another = small_method();
  Trainer last(model(), *another, std::vector<Task>{task}, options);
  CHECK(last.examples().size() == 4);
  CHECK(last.total_steps() == 4);
  CHECK(last.run().steps.front().tokens < steps.front().tokens);

  // The loss of a step is the mean over the response tokens of all its turns: those of the same examples as examples of
  // their own. Sums of the same numbers in f32, in another order.
  options.loss_on = "all";
  options.batch = 4;
  options.epochs = 1;
  const auto as_turns = small_method();
  const double loss = Trainer(model(), *as_turns, std::vector<Task>{task}, options).run().losses().front();
  Task apart = task;
  for (const auto& e : letter_task(4).examples) {
    apart.examples.push_back({.instruction = "u", .input = "", .output = "a", .answer = e.answer, .dataset = ""});
  }
  options.batch = 8;
  options.loss_on = "last";
  const auto as_examples = small_method();
  CHECK(Trainer(model(), *as_examples, std::vector<Task>{apart}, options).run().losses().front() ==
        doctest::Approx(loss).epsilon(1e-5));
}
