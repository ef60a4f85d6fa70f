// Every method trained: full fine-tuning, tasks in sequence, and that no two methods are the same.
#include <iterator>

#include <doctest/doctest.h>

#include "core/cpu/allocator.h"
#include "tests/experiments/training/trainer_tools.h"

using csreft::Task;
using csreft::Trainer;

TEST_CASE("full fine-tuning learns, writes a model that loads by itself, and goes on to the same bits") {
  const TinyChat chat;
  const auto load = [&] { return csreft::load_language_model(chat.path(), {}, csreft::Weights::trainable); };
  const TemporaryFolder folder;
  const auto trainable = load();
  const auto method = csreft::create_method({"full"}, trainable.llama, 5);
  auto options = small_options();
  options.epochs = 10;
  const auto losses =
      Trainer(trainable, *method, std::vector<Task>{letter_task(12)}, options).run(folder.path()).losses();
  CHECK(losses.back() < 0.8 * losses.front());
  const auto written = csreft::load_language_model(folder / "adapter", {}, csreft::Weights::frozen);
  const auto batch = csreft::pack_tokens(std::vector<std::vector<std::int32_t>>{{5, 60, 7, 21}});
  const auto logits = [&](const csreft::LanguageModel& m) {
    const csreft::NoGrad no_grad;
    return m.llama.logits(m.llama.forward(batch)).value();
  };
  // Packed matrices and plain ones sum in another order: f32 rounding of logits around 1.
  CHECK(largest_difference(logits(written), logits(trainable)) < 1e-5);

  const TemporaryFolder parts;
  for (int part = 0; part < 2; ++part) {
    const auto fresh = load();
    const auto again = csreft::create_method({"full"}, fresh.llama, 5);
    Trainer trainer(fresh, *again, std::vector<Task>{letter_task(12)}, options);
    const csreft::InterruptGuard guard;
    if (part == 0) std::raise(SIGINT);
    const auto result = trainer.run(parts.path(), /*resume=*/part > 0);
    if (part == 1) CHECK(result.losses() == losses);
  }
  const csreft::InterruptGuard no_signal_yet;
}

TEST_CASE("full fine-tuning keeps no copy of the model, and a run of it that fails what it has saved") {
  const TinyChat chat;
  const auto trainable = csreft::load_language_model(chat.path(), {}, csreft::Weights::trainable);
  const auto method = csreft::create_method({"full"}, trainable.llama, 5);
  const auto bytes = static_cast<std::size_t>(count_parameters(*method).total) * sizeof(float);
  auto options = small_options();
  const std::size_t before = csreft::host_memory().used;
  Trainer trainer(trainable, *method, std::vector<Task>{letter_task(12)}, options);
  // Two moments of each parameter, and little else.
  CHECK(csreft::host_memory().used - before < 2.5 * static_cast<double>(bytes));

  const TemporaryFolder folder;
  options.lr = 1e30;
  const auto run = [&](double save_every) {
    options.save_every = save_every;
    const auto fresh = csreft::load_language_model(chat.path(), {}, csreft::Weights::trainable);
    const auto again = csreft::create_method({"full"}, fresh.llama, 5);
    Trainer failing(fresh, *again, std::vector<Task>{letter_task(12)}, options);
    return error_text([&] { return failing.run(folder.path()).steps.size(); });
  };
  CHECK(contains(run(0.0), "the loss is not finite at step 2 of 6, nothing was saved yet"));
  CHECK(contains(run(1e-9), "the loss is not finite at step 2 of 6, what was saved last is in"));
  CHECK(std::filesystem::exists(folder / "adapter/model.safetensors"));
}

TEST_CASE("O-LoRA is measured after each epoch of the task that is learnt, and keeps the last step") {
  Task first = letter_task(8), second = letter_task(12), validation = letter_task(3);
  first.name = "one";
  second.name = "two";
  auto method_options = small_options_of("olora");
  method_options["tasks"] = nlohmann::json::array({"one", "two"});
  const auto method = create(method_options);
  auto options = small_options();
  const auto measured = [&] {
    Trainer trainer(model(), *method, std::vector<Task>{first, second}, options);
    trainer.validate_on({validation}, {});
    std::vector<std::int64_t> steps;
    for (const auto& record : trainer.run().validation) steps.push_back(record.step);
    return steps;
  };
  // Two epochs of two steps, then two of three.
  CHECK(measured() == std::vector<std::int64_t>{2, 4, 7, 10});
  options.validate_every = 3;
  CHECK(measured() == std::vector<std::int64_t>{3, 4, 7, 10});
  options.keep = "best";
  CHECK(
      contains(error_text([&] { return measured().size(); }), "one, two are learnt in sequence: expected --keep last"));
}

TEST_CASE("O-LoRA learns its tasks one after the other, and only the LoRA of the task that is learnt moves") {
  Task first = letter_task(8), second = letter_task(8);
  first.name = "one";
  second.name = "two";
  auto method_options = small_options_of("olora");
  method_options["tasks"] = nlohmann::json::array({"one", "two"});
  const auto method = create(method_options), start = create(method_options);
  auto options = small_options();
  Trainer trainer(model(), *method, std::vector<Task>{first, second}, options);
  CHECK(trainer.total_steps() == 8);  // two epochs of two steps for each
  const auto moved = [&](std::string_view task) {
    double largest = 0.0;
    for (std::size_t i = 0; i < method->parameters().size(); ++i) {
      const auto &now = method->parameters()[i], &then = start->parameters()[i];
      if (!now.name.starts_with(task)) continue;
      largest = std::max(largest, largest_difference(now.value.value(), then.value.value()));
    }
    return largest;
  };
  // Step by step, to see whose parameters move when.
  const auto batch_of = [&](std::size_t first_example) {
    std::vector<const csreft::EncodedExample*> batch;
    for (std::size_t i = 0; i < 4; ++i) batch.push_back(&trainer.examples()[first_example + i]);
    return batch;
  };
  method->begin_task(0);
  static_cast<void>(trainer.step(batch_of(0), 1e-2));
  const double one = moved("one.");
  CHECK(one > 0.0);
  CHECK(moved("two.") == 0.0);
  method->begin_task(1);
  static_cast<void>(trainer.step(batch_of(8), 1e-2));
  CHECK(moved("one.") == one);
  CHECK(moved("two.") > 0.0);
}

namespace {

// The names and the examples of two tasks, four of each.
std::vector<Task> two_tasks() {
  Task first = letter_task(4), second = letter_task(8);
  second.examples.erase(second.examples.begin(), second.examples.begin() + 4);
  first.name = "one";
  second.name = "two";
  return {first, second};
}

// Losses of eight steps on one batch of two tasks.
std::vector<double> losses_of(const csreft::MethodOptions& options) {
  static const TinyChat chat;
  const bool trains = csreft::configure(options)->trains_model();
  const auto own =
      csreft::load_language_model(chat.path(), {}, trains ? csreft::Weights::trainable : csreft::Weights::frozen);
  const auto method = csreft::create_method(options, own.llama, /*seed=*/5);
  auto training = small_options();
  training.batch = 8;  // all examples in each step
  training.epochs = 8;
  return Trainer(own, *method, two_tasks(), training).run().losses();
}

// Of a loss from the first step on.
std::vector<double> changes_of(const std::vector<double>& losses) {
  std::vector<double> changes;
  for (const double loss : losses) changes.push_back(loss - losses.front());
  return changes;
}

}  // namespace

TEST_CASE("no two methods are the same: from one seed, on one batch, their losses part within eight steps") {
  std::vector<csreft::MethodOptions> all;
  for (const auto* entry : csreft::methods()) {
    if (learns_in_sequence(entry->name)) continue;  // sees one task at a time, and has a test of its own
    all.push_back(small_options_of(entry->name, {{"edit_start", "published"}}));
  }
  // CS-ReFT is a method of its own with either preset, and with gates that the tasks decide.
  all.push_back(small_options_of("csreft", csreft::find_preset("specialised").method.values));
  all.push_back(small_options_of("csreft", {{"gate", "onehot"}, {"tasks", nlohmann::json::array({"one", "two"})}}));
  all.push_back({"lora+loreft", {{"layers", "0,1"}, {"rank", 2}, {"loreft.positions", "f5+l5"}}});
  std::vector<std::vector<double>> losses;
  for (const auto& options : all) losses.push_back(losses_of(options));
  for (std::size_t a = 0; a < all.size(); ++a) {
    REQUIRE(losses[a].size() == 8);
    for (std::size_t b = 0; b < a; ++b) {
      CAPTURE(to_json(all[a]).dump());
      CAPTURE(to_json(all[b]).dump());
      // How far training has come apart, whatever the starts were.
      CHECK(largest_difference(changes_of(losses[a]), changes_of(losses[b])) > 1e-4);
    }
  }
}

TEST_CASE("from the identity, too, every method goes its own way, and all of its parameters move") {
  std::vector<std::string_view> names;
  std::vector<std::vector<double>> losses;
  for (const auto* entry : csreft::methods()) {
    if (learns_in_sequence(entry->name)) continue;
    CAPTURE(entry->name);
    names.push_back(entry->name);
    losses.push_back(losses_of(small_options_of(entry->name)));
    for (std::size_t b = 0; b + 1 < losses.size(); ++b) {
      CAPTURE(names[b]);
      CHECK(largest_difference(changes_of(losses.back()), changes_of(losses[b])) > 1e-4);
    }
  }
  for (const auto* entry : csreft::methods()) {
    if (entry->name == "full" || entry->name == "olora") continue;  // have tests of their own
    CAPTURE(entry->name);
    // At the last layer, only the tokens before a prediction count.
    auto options = small_options_of(entry->name);
    if (options.contains("edit_start")) options["positions"] = "all";
    const auto method = create(options), start = create(options);
    train(*method, small_options());
    for (std::size_t i = 0; i < method->parameters().size(); ++i) {
      CAPTURE(method->parameters()[i].name);
      CHECK(largest_difference(method->parameters()[i].value.value(), start->parameters()[i].value.value()) > 0.0);
    }
  }
}

TEST_CASE(
    "O-LoRA parts from LoRA on the same sequence when the second task begins, and from itself without a penalty") {
  auto training = small_options();
  training.epochs = 4;  // of one step each: all examples of a task
  const auto of_olora = [&](double orthogonality) {
    const auto method = create(small_options_of(
        "olora", {{"tasks", nlohmann::json::array({"one", "two"})}, {"orthogonality", orthogonality}}));
    return Trainer(model(), *method, two_tasks(), training).run().cross_entropies();
  };
  // One LoRA goes on with the second task where the first has left it.
  const auto lora = create(small_options_of("lora"));
  std::vector<double> of_lora;
  for (const Task& task : two_tasks()) {
    std::ranges::copy(Trainer(model(), *lora, std::vector<Task>{task}, training).run().cross_entropies(),
                      std::back_inserter(of_lora));
  }
  const auto olora = of_olora(0.5), free = of_olora(0.0);
  REQUIRE(olora.size() == 8);
  REQUIRE(of_lora.size() == 8);
  const auto part = [](const std::vector<double>& losses, std::ptrdiff_t begin) {
    return std::vector<double>(losses.begin() + begin, losses.begin() + begin + 4);
  };
  CHECK(largest_difference(part(olora, 0), part(of_lora, 0)) == 0.0);
  CHECK(largest_difference(part(olora, 0), part(free, 0)) == 0.0);
  // The second task begins with what the first has taught, in sums of another order; then the paths part.
  CHECK(std::abs(olora[4] - of_lora[4]) < 1e-5);
  CHECK(largest_difference(part(olora, 4), part(of_lora, 4)) > 1e-3);
  CHECK(largest_difference(part(olora, 4), part(free, 4)) > 1e-4);
}

TEST_CASE("O-LoRA resumes to the same bits within each of its tasks") {
  const auto method_options =
      small_options_of("olora", {{"tasks", nlohmann::json::array({"one", "two"})}, {"dropout", 0.3}});
  auto options = small_options();
  options.batch = 2;  // two steps an epoch, four for each task
  const auto whole = create(method_options);
  const auto losses = Trainer(model(), *whole, two_tasks(), options).run().losses();
  REQUIRE(losses.size() == 8);
  const TemporaryFolder parts;
  for (std::size_t done = 1; done <= 8; ++done) {
    CAPTURE(done);
    const auto resumed = create(method_options);
    Trainer trainer(model(), *resumed, two_tasks(), options);
    const csreft::InterruptGuard guard;
    std::raise(SIGINT);  // stops after each step, in either task and between them
    const auto result = trainer.run(parts.path(), /*resume=*/done > 1);
    CHECK(result.losses() == std::vector<double>(losses.begin(), losses.begin() + static_cast<std::ptrdiff_t>(done)));
    if (done == 8) CHECK(values(*resumed) == values(*whole));
  }
  const csreft::InterruptGuard no_signal_yet;
}

TEST_CASE("every method resumes to the same bits, with dropout, noise and sums as well") {
  std::vector<csreft::MethodOptions> all;
  for (const auto* entry : csreft::methods()) {
    if (entry->name == "full") continue;  // has a test of its own
    all.push_back(small_options_of(entry->name, {{"dropout", 0.3}}));
  }
  all.push_back(small_options_of("csreft", {{"gate", "gumbel"}}));
  all.push_back({"lora+loreft", {{"layers", "0,1"}, {"rank", 2}, {"dropout", 0.2}, {"loreft.positions", "f5+l5"}}});
  for (const auto& method_options : all) {
    CAPTURE(to_json(method_options).dump());
    const auto options = small_options();
    const TemporaryFolder parts;
    const auto whole = create(method_options);
    const auto losses = train(*whole, options).losses();
    interrupt_after_each_step(options, parts.path(), 3, method_options);
    const auto resumed = create(method_options);
    Trainer trainer(model(), *resumed, std::vector<Task>{letter_task(12)}, options);
    CHECK(trainer.run(parts.path(), /*resume=*/true).losses() == losses);
    CHECK(values(*resumed) == values(*whole));
  }
}
