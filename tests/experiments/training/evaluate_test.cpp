#include "experiments/training/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <doctest/doctest.h>

#include "experiments/training/summary.h"
#include "tests/compare.h"
#include "tests/error_text.h"
#include "tests/reft/method_tools.h"
#include "tests/tiny_chat.h"

namespace {

using csreft::evaluate;
using csreft::Task;

const csreft::LanguageModel& model() {
  static const TinyChat chat;
  static const csreft::LanguageModel loaded = chat.load();
  return loaded;
}

csreft::MethodOptions small_options(const nlohmann::json& more = nlohmann::json::object()) {
  auto options =
      paper_options({{"layers", "0,1"}, {"rank", 2}, {"positions", "f5+l5"}, {"subspaces", 2}, {"router_hidden", 4}});
  options.values.update(more);
  return options;
}

std::unique_ptr<csreft::Method> small_method(const nlohmann::json& more = nlohmann::json::object()) {
  return csreft::create_method(small_options(more), model().llama, 1);
}

Task without_answers(Task task) {
  for (auto& e : task.examples) e.answer.reset();
  return task;
}

csreft::EvaluationOptions options_of_batch(std::int64_t batch) { return {.batch = batch, .system = "", .quiet = true}; }

}  // namespace

TEST_CASE("accuracy counts the answers that are right, whatever the batch") {
  Task task = letter_task(7);
  const auto first = evaluate(model(), nullptr, task, options_of_batch(3));
  CHECK(first.metric == "accuracy");
  CHECK(first.n == 7);
  REQUIRE(first.outputs.size() == 7);
  CHECK(evaluate(model(), nullptr, task, options_of_batch(7)).outputs == first.outputs);
  std::int64_t right = 0;
  for (std::size_t i = 0; i < 7; ++i) right += csreft::is_correct(first.outputs[i], *task.examples[i].answer) ? 1 : 0;
  CHECK(first.value == static_cast<double>(right) / 7);
}

TEST_CASE("nll is the mean over response tokens, by hand the logarithm of their probabilities") {
  const Task task = without_answers(letter_task(5));
  const auto score = evaluate(model(), nullptr, task, options_of_batch(2));
  CHECK(score.metric == "nll");
  CHECK(score.n == 5);
  double sum = 0;
  std::size_t tokens = 0;
  const csreft::NoGrad no_grad;
  for (std::size_t i = 0; i < 5; ++i) {
    const auto example = encode_example(model(), task, i, "", 160);
    const auto logits =
        model()
            .llama
            .logits(model().llama.forward(csreft::pack_tokens(std::vector<std::vector<std::int32_t>>{example.ids})))
            .value();
    for (auto t = static_cast<std::size_t>(example.prompt_length); t < example.ids.size(); ++t, ++tokens) {
      const auto row = logits.slice(static_cast<std::int64_t>(t) - 1, static_cast<std::int64_t>(t));
      double total = 0;
      for (const float x : row.span<float>()) total += std::exp(static_cast<double>(x));
      sum += std::log(total) - row.span<float>()[static_cast<std::size_t>(example.ids[t])];
    }
  }
  // f32 logits: rounding of 1e-6 each.
  CHECK(score.value == doctest::Approx(sum / static_cast<double>(tokens)).epsilon(1e-5));
}

TEST_CASE("choice takes the answer whose response has the least nll, whatever the batch") {
  Task task = letter_task(6);
  task.examples[1].choices = {"z", *task.examples[1].answer};
  auto options = options_of_batch(4);
  options.metric = "choice";
  const auto score = evaluate(model(), nullptr, task, options);
  CHECK(score.metric == "choice");
  CHECK(score.n == 6);
  double right = 0;
  const csreft::ChoicesOfTask of_task(task);
  for (std::size_t i = 0; i < 6; ++i) {
    const auto choices = of_task.of(task.examples[i]);
    std::vector<double> nll;
    for (const auto& answer : choices.answers) {
      Task one{.name = "one", .examples = {task.examples[i]}};
      one.examples[0].output = of_task.response_of(answer);
      const auto mean = evaluate(model(), nullptr, without_answers(one), options_of_batch(1)).value;
      const auto encoded = encode_example(model(), one, 0, "", 160);
      nll.push_back(mean * static_cast<double>(std::ssize(encoded.ids) - encoded.prompt_length));
    }
    const auto best = static_cast<std::size_t>(std::ranges::min_element(nll) - nll.begin());
    CHECK(score.outputs[i] == choices.answers[best]);
    CHECK(score.values[i] == (best == choices.right ? 1.0 : 0.0));
    right += score.values[i];
  }
  CHECK(score.value == right / 6);
  options.batch = 1;
  CHECK(evaluate(model(), nullptr, task, options).outputs == score.outputs);
  // The gates are those of the prompts, as by another metric.
  const auto method = small_method();
  const auto chosen = evaluate(model(), method.get(), task, options),
             generated = evaluate(model(), method.get(), task, options_of_batch(4));
  CHECK(chosen.gates.size() == 6);
  for (std::size_t k = 0; k < 2; ++k) {
    // f32, in batches of other sizes.
    CHECK(chosen.mean_gates[k] == doctest::Approx(generated.mean_gates[k]).epsilon(1e-5));
  }
  CHECK(std::accumulate(chosen.chosen.begin(), chosen.chosen.end(), std::int64_t{0}) == 6);
}

TEST_CASE("an example of which a choice would be cut is too long to be scored by choice") {
  Task task = letter_task(3);
  const std::string longest(60, 'z');
  task.examples[0].instruction = std::string(90, 'x');  // the context of 160 holds it with a letter behind
  for (auto& e : task.examples) e.choices = {*e.answer, longest};
  auto options = options_of_batch(2);
  options.metric = "choice";
  CHECK(contains(error_text([&] { return evaluate(model(), nullptr, task, options).n; }), "has no room in the model"));
  std::vector<Task> tasks{task};
  skip_unusable(model(), tasks, options);
  CHECK(tasks[0].skipped.too_long == 1);
  REQUIRE(tasks[0].examples.size() == 2);
  CHECK(tasks[0].examples[0].instruction == task.examples[1].instruction);
  CHECK(evaluate(model(), nullptr, tasks[0], options).n == 2);
  // By another metric it has room.
  std::vector<Task> all{task};
  skip_unusable(model(), all, options_of_batch(2));
  CHECK(all[0].skipped.total() == 0);
  // The prompt and the longest choice, with the token that ends it, fill the context to the last token.
  const auto length = [&](std::size_t n) {
    Task one{.name = "one", .examples = {task.examples[0]}};
    one.examples[0].instruction = std::string(n, 'x');
    const auto encoded = csreft::encode_response_of(model(), one.examples[0], "", longest);
    csreft::skip_unusable(model(), one, options);
    return std::pair(std::ssize(encoded.ids), encoded.cut);
  };
  std::size_t n = 1;
  while (length(n).first < 160) ++n;
  CHECK_FALSE(length(n).second);
  CHECK(
      contains(error_text([&] { return length(n + 1).first; }), "no example can be used, skipped 1 of 1: 1 too long"));
}

TEST_CASE("what is generated is scored by the metric that is asked for") {
  const Task task = letter_task(5);
  const auto by = [&](const char* metric) {
    auto options = options_of_batch(5);
    options.metric = metric;
    return evaluate(model(), nullptr, task, options);
  };
  const auto outputs = by("accuracy").outputs;
  for (const auto& metric : csreft::score_metrics()) {
    if (metric.of != csreft::ScoreOf::generated) continue;
    const auto score = by(metric.name.data());
    CHECK(score.metric == metric.name);
    CHECK(score.outputs == outputs);
    double sum = 0;
    for (std::size_t i = 0; i < 5; ++i) sum += metric.score(outputs[i], csreft::expected_of(task.examples[i], metric));
    CHECK(score.value == sum / 5);
  }
  CHECK(by("nll").value == evaluate(model(), nullptr, without_answers(task), options_of_batch(5)).value);
}

TEST_CASE("mean gates lie between 0 and 1, one for each subspace, by either metric") {
  const auto method = small_method();
  for (const Task& task : {letter_task(5), without_answers(letter_task(5))}) {
    const auto gates = evaluate(model(), method.get(), task, options_of_batch(2)).mean_gates;
    REQUIRE(gates.size() == 2);
    for (const double alpha : gates) CHECK((alpha > 0 && alpha < 1));
  }
  CHECK(evaluate(model(), nullptr, letter_task(2), options_of_batch(2)).mean_gates.empty());
}

TEST_CASE("the chosen gate of a prompt is the router's first choice, whatever is shared or tied") {
  const Task task = letter_task(7);
  const auto prompts = csreft::encode_prompts(model(), task.examples, "");
  for (const auto& [more, decided] : {std::pair<nlohmann::json, std::size_t>{{{"gate", "softmax"}, {"shared", 1}}, 2},
                                      {{{"gate", "topk"}, {"topk", 2}}, 3},
                                      {{{"gate", "top1"}, {"shared", 1}}, 2},
                                      {{{"gate", "hard"}}, 3}}) {
    CAPTURE(more.dump());
    const auto method = small_method([&] {
      nlohmann::json options{{"subspaces", 3}};
      options.update(more);
      return options;
    }());
    std::vector<std::int64_t> expected(decided, 0);
    const csreft::Tensor p = method->routing()->route(prompts, {}, {}).probabilities.value();
    for (std::int64_t e = 0; e < p.rows(); ++e) {
      const auto row = p.slice(e, e + 1).span<float>();
      ++expected[static_cast<std::size_t>(std::ranges::max_element(row) - row.begin())];
    }
    CHECK(evaluate(model(), method.get(), task, options_of_batch(3)).chosen == expected);
    const auto score = evaluate(model(), method.get(), without_answers(task), options_of_batch(3));
    CHECK(score.chosen == expected);
    CHECK(score.mean_gates.size() == 3);
  }
  const auto by_token = small_method({{"gate", "softmax"}, {"router_input", "hidden"}, {"gate_scope", "token"}});
  const auto chosen = evaluate(model(), by_token.get(), task, options_of_batch(3)).chosen;
  std::size_t tokens = 0;
  for (const auto& prompt : prompts) tokens += prompt.size();
  CHECK(std::accumulate(chosen.begin(), chosen.end(), std::size_t{0}) == tokens);
}

TEST_CASE("a shared subspace beside gates that tell tasks apart hides neither that nor a dead subspace") {
  const nlohmann::json tasks{"one", "two"};
  const csreft::MethodOptions options{
      "csreft",
      {{"layers", "0,1"}, {"rank", 2}, {"gate", "onehot"}, {"tasks", tasks}, {"subspaces", 4}, {"shared", 1}}};
  const auto method = csreft::create_method(options, model().llama, 1);
  std::vector<csreft::TaskScore> scores;
  for (const char* name : {"one.test", "two.test"}) {
    Task task = letter_task(3);
    task.name = name;
    scores.push_back(evaluate(model(), method.get(), task, options_of_batch(3)));
  }
  CHECK(scores[0].chosen == std::vector<std::int64_t>{3, 0, 0});
  CHECK(scores[1].chosen == std::vector<std::int64_t>{0, 3, 0});
  CHECK(scores[1].mean_gates == std::vector<double>{1.0, 0.0, 1.0, 0.0});
  const auto overlap = csreft::subspace_overlap(method->routing()->bases(), 4);
  const auto measures = csreft::router_measures(scores, overlap, method->routing()->shared());
  CHECK(measures.normalised_mutual_information == doctest::Approx(1.0));
  CHECK(measures.dead_share == doctest::Approx(1.0 / 3.0));
}

TEST_CASE("gates in generation are those of the prompts alone, whatever the router reads") {
  const Task task = letter_task(5);
  const auto prompts = csreft::encode_prompts(model(), task.examples, "");
  for (const auto* input : csreft::router_inputs()) {
    CAPTURE(input->name);
    const auto method = small_method({{"router_input", input->name}, {"gate", "softmax"}});
    const auto alpha = method->routing()->route(prompts, {}, {}).alpha.value().to(csreft::DType::f64);
    const auto sums = csreft::ops::sum_rows(alpha);
    const auto score = evaluate(model(), method.get(), task, options_of_batch(2));
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(score.mean_gates[i] == doctest::Approx(sums.span<double>()[i] / 5).epsilon(1e-5));
    }
  }
}

TEST_CASE("first_token gives every prompt of a chat template one gate; prompt_mean and hidden do not") {
  std::vector<csreft::Example> examples;
  for (const char* text : {"What is the opposite of hot?", "Add 2 and 3.", "Is this film good or bad?"}) {
    examples.push_back({.instruction = text, .input = "", .output = "", .answer = {}, .dataset = ""});
  }
  const auto prompts = csreft::encode_prompts(model(), examples, "");
  const auto spread_of_gates = [&](const char* input) {
    const auto method = small_method({{"router_input", input}});
    const auto alpha = method->routing()->route(prompts, {}, {}).alpha.value();
    return std::max(largest_difference(alpha.slice(0, 1), alpha.slice(1, 2)),
                    largest_difference(alpha.slice(0, 1), alpha.slice(2, 3)));
  };
  CHECK(spread_of_gates("first_token") == 0.0);
  CHECK(spread_of_gates("prompt_mean") > 1e-4);
  CHECK(spread_of_gates("hidden") > 1e-4);
}

TEST_CASE("only the first examples are scored where a limit is set") {
  auto options = options_of_batch(2);
  options.max_examples = 3;
  CHECK(evaluate(model(), nullptr, letter_task(7), options).n == 3);
}

TEST_CASE("a task with prompts that are too long or too short to edit is refused beforehand, by name") {
  const auto refusal = [](const Task& task, const csreft::Method* method) {
    return error_text([&] {
      csreft::check_task(model(), method, task, options_of_batch(2));
      return 0;
    });
  };
  CHECK(refusal(letter_task(4), small_method().get()).empty());
  const auto text = refusal(letter_task(4), small_method({{"positions", "100"}}).get());
  CHECK(contains(text, "letters: position 100 lies outside"));
  Task task = letter_task(4);
  task.examples[2].instruction = std::string(200, 'x');
  CHECK(contains(refusal(task, nullptr), "letters: the prompt of example 2"));
  CHECK(
      contains(error_text([] { return evaluate(model(), nullptr, letter_task(1), options_of_batch(0)).n; }), "batch"));
}
