// Subspaces that are added task by task: what is trained, what stays, and who decides.
#include "reft/stiefel/stiefel.h"
#include "tests/reft/methods/method_cases.h"

using csreft::MethodOptions;
using csreft::Tensor;
using csreft::TrainingMoment;
using csreft::Variable;

namespace {

using Prompts = std::vector<TokenIds>;

// Prompts of two tasks that have no token in common: 0 to 10, and 11 to 21.
Prompts prompts_of(std::size_t task) {
  Prompts prompts;
  csreft::Random random(/*seed=*/9, task);
  for (std::size_t i = 0; i < 100; ++i) {
    TokenIds& ids = prompts.emplace_back();
    for (std::size_t j = 0; j < 3 + i % 3; ++j) {
      ids.push_back(static_cast<std::int32_t>(11 * task + random.below(11)));
    }
  }
  return prompts;
}

// A batch of a prompt of each task, in turn: 0, 1, 0.
TinyTask mixed_batch() {
  const std::vector<std::int64_t> prompts{4, 5, 3};
  return make_task({{2, 7, 1, 9, 3, 3}, {12, 20, 15, 13, 22, 4, 4}, {10, 4, 6, 5}}, prompts);
}

MethodOptions growing_options(const nlohmann::json& more = nlohmann::json::object()) {
  MethodOptions options = options_of("growing");
  options.values.update(more);
  return options;
}

// With both tasks begun, and every value moved away from its start.
void learn_both(csreft::Method& method) {
  for (std::size_t t = 0; t < 2; ++t) method.begin_task(static_cast<std::int64_t>(t), prompts_of(t));
  perturb(method);
}

double largest_product(const csreft::Method& method) {
  double largest = 0.0;
  for (const auto& stack : method.routing()->bases()) {
    const std::int64_t r = stack.rows() / 2;
    largest = std::max(largest,
                       largest_element(csreft::ops::matmul(stack.slice(0, r), stack.slice(r, 2 * r),
                                                           csreft::ops::Transpose::no, csreft::ops::Transpose::yes)));
  }
  return largest;
}

Tensor alpha_of(const TinyMethod& made, const TinyTask& task, std::span<const std::int32_t> tasks = {}) {
  const auto pass = made->attach({task.batch, task.prompts, tasks});
  static_cast<void>(made.model->forward(task.batch, pass->points()));
  return pass->gates()->alpha.value();
}

std::vector<double> numbers(const Tensor& x) { return {x.span<double>().begin(), x.span<double>().end()}; }

}  // namespace

TEST_CASE(
    "a task's subspace has right gradients through what keeps it orthogonal to earlier ones, with every formula") {
  const TinyTask task = tiny_task();
  for (const auto* formula : csreft::interventions()) {
    if (!csreft::has_orthonormal(*formula)) continue;
    CAPTURE(formula->name);
    const TinyMethod made(growing_options({{"edit", formula->name}, {"positions", "f2+l1"}}));
    learn_both(*made);
    made->begin_task(1, prompts_of(1));  // the span of what the first task has now
    std::vector<Variable> inputs;
    for (const auto& p : made->parameters()) {
      if (p.name.starts_with("two.")) inputs.push_back(p.value);
    }
    const auto result = csreft::gradcheck(
        [&] {
          const auto pass = made->attach({task.batch, task.prompts, {}, TrainingMoment{}});
          return task_loss(*made.model, task, pass->points());
        },
        inputs, {.sample = 6});
    CHECK_MESSAGE(result.passed, result.str());
  }
}

TEST_CASE("in training, one task's subspace edits every prompt, and earlier ones get no gradient") {
  const TinyTask task = mixed_batch();
  const TinyMethod made(growing_options());
  learn_both(*made);
  for (std::int64_t t = 0; t < 2; ++t) {
    made->begin_task(t, prompts_of(static_cast<std::size_t>(t)));
    const auto pass = made->attach({task.batch, task.prompts, {}, TrainingMoment{}});
    csreft::backward(task_loss(*made.model, task, pass->points()));
    CHECK(numbers(pass->gates()->alpha.value()) ==
          (t == 0 ? std::vector<double>{1, 0, 1, 0, 1, 0} : std::vector<double>{0, 1, 0, 1, 0, 1}));
    std::set<std::string> trained;
    for (const auto& p : made->parameters()) {
      if (p.value.grad().defined()) trained.insert(p.name.substr(0, p.name.find('.')));
      p.value.clear_grad();
    }
    CHECK(trained == std::set<std::string>{t == 0 ? "one" : "two"});
  }
}

TEST_CASE("a task starts orthogonal to what earlier ones have become, as the identity, and stays orthogonal") {
  const TinyTask task = mixed_batch();
  const Tensor plain = tiny_llama().forward(task.batch).value();
  for (const char* formula : {"direft", "loreft"}) {
    CAPTURE(formula);
    const TinyMethod made(growing_options({{"edit", formula}}));
    made->begin_task(0, prompts_of(0));
    perturb(*made);
    made->begin_task(1, prompts_of(1));
    CHECK(largest_product(*made) < rounding);
    CHECK(csreft::orthonormality_error(value_of(*made, "two.0.t.R"), 2) < rounding);
    const auto pass = made->attach({task.batch, task.prompts, {}, TrainingMoment{}});
    CHECK(largest_difference(made.model->forward(task.batch, pass->points()).value(), plain) < rounding);
    perturb(*made);  // whatever an optimizer does to R, what it has in common with the first takes no part
    CHECK(largest_product(*made) < rounding);
  }
}

TEST_CASE("a task that goes on has what it had: nothing is read twice, and nothing starts anew") {
  const TinyMethod made(growing_options());
  learn_both(*made);
  std::vector<Tensor> before;
  for (const auto& [name, value] : named_tensors(*made)) before.push_back(value.clone());
  for (std::size_t t = 0; t < 2; ++t) made->begin_task(static_cast<std::int64_t>(t), prompts_of(t));
  const auto after = named_tensors(*made);
  for (std::size_t i = 0; i < after.size(); ++i) {
    CAPTURE(after[i].first);
    CHECK(largest_difference(before[i], after[i].second) == 0.0);
  }
}

TEST_CASE("if the reading of a task's prompts is stopped, the task has not begun") {
  const TinyMethod made(growing_options());
  made->begin_task(0, prompts_of(0));
  std::vector<Tensor> before;
  for (const auto& [name, value] : named_tensors(*made)) before.push_back(value.clone());
  // Not all are read at once.
  made->begin_task(1, prompts_of(1), [](std::int64_t, std::int64_t) { return false; });
  const auto after = named_tensors(*made);
  for (std::size_t i = 0; i < after.size(); ++i) CHECK(largest_difference(before[i], after[i].second) == 0.0);
}

TEST_CASE(
    "each prompt is edited in the subspace of the task that it looks like; before others are learnt in the first") {
  const TinyTask task = mixed_batch();
  const TinyMethod made(growing_options());
  const std::vector<double> first{1, 0, 1, 0, 1, 0};
  CHECK(numbers(alpha_of(made, task)) == first);
  made->begin_task(0, prompts_of(0));
  CHECK(numbers(alpha_of(made, task)) == first);
  made->begin_task(1, prompts_of(1));
  CHECK(numbers(alpha_of(made, task)) == std::vector<double>{1, 0, 0, 1, 1, 0});
  CHECK(made->task_index("one") == -1);
  CHECK(made->routing()->gate() == "discriminant");
  // As without a forward pass, and as far as edits of a later layer go, in any company.
  Prompts prompts{{2, 7, 1, 9}, {12, 20, 15, 13, 22}, {10, 4, 6}};
  CHECK(numbers(made->routing()->route(prompts, {}, {}).alpha.value()) == std::vector<double>{1, 0, 0, 1, 1, 0});
}

TEST_CASE("a prompt's edit is that of its subspace alone") {
  const TinyTask task = mixed_batch();
  const TinyMethod made(growing_options());
  learn_both(*made);
  const Tensor hidden = hidden_of(made, task);
  // The same by gates from outside, and by what training sees of each task.
  const std::vector<double> second{0.0, 1.0};
  const auto given = made->attach({task.batch, task.prompts, {}, {}, second});
  const Tensor by_hand = made.model->forward(task.batch, given->points()).value();
  made->begin_task(1, prompts_of(1));
  const auto trained = made->attach({task.batch, task.prompts, {}, TrainingMoment{}});
  const Tensor in_training = made.model->forward(task.batch, trained->points()).value();
  CHECK(largest_difference(by_hand, in_training) < rounding);
  // Rows 6 to 12 are the second task's.
  CHECK(largest_difference(hidden.slice(6, 13), in_training.slice(6, 13)) < rounding);
  CHECK(largest_difference(hidden.slice(0, 6), in_training.slice(0, 6)) > 1e-3);
  const std::vector<double> three{1.0, 0.0, 0.0};
  CHECK(contains(error_text([&] {
                   made->attach({task.batch, task.prompts, {}, {}, three});
                 }),
                 "--alpha has 3 numbers, the adapter 2 subspaces"));
}

TEST_CASE("by label the task decides, and one that is not learnt leaves the model as it is") {
  const TinyTask task = mixed_batch();
  const Tensor plain = tiny_llama().forward(task.batch).value();
  const TinyMethod made(growing_options({{"decided_by", "label"}, {"edit_start", "published"}}));
  CHECK(made->buffers().size() == 1);
  const std::vector<std::int32_t> labels{1, 0, 1};
  made->begin_task(0, prompts_of(0));
  CHECK(numbers(alpha_of(made, task, labels)) == std::vector<double>{0, 0, 1, 0, 0, 0});
  const auto pass = made->attach({task.batch, task.prompts, labels});
  const Tensor hidden = made.model->forward(task.batch, pass->points()).value();
  CHECK(largest_difference(hidden.slice(0, 6), plain.slice(0, 6)) < rounding);
  CHECK(largest_difference(hidden.slice(6, 13), plain.slice(6, 13)) > 1e-3);
  made->begin_task(1, prompts_of(1));
  CHECK(numbers(alpha_of(made, task, labels)) == std::vector<double>{0, 1, 1, 0, 0, 1});
  CHECK(made->task_index("two") == 1);
  CHECK(contains(error_text([&] { made->task_index("three"); }), "knows no task 'three'"));
  CHECK(contains(error_text([&] {
                   made->attach({task.batch, task.prompts});
                 }),
                 "expected --task with one of one, two"));
}

TEST_CASE("beside other methods, prompts are told apart by the states of the model as it is") {
  const TinyTask task = mixed_batch();
  const TinyMethod alone(growing_options());
  MethodOptions options{"lora+growing",
                        {{"layers", "0,2"}, {"rank", 2}, {"tasks", nlohmann::json::array({"one", "two"})}}};
  const TinyMethod sum(options);
  for (std::size_t t = 0; t < 2; ++t) {
    alone->begin_task(static_cast<std::int64_t>(t), prompts_of(t));
    sum->begin_task(static_cast<std::int64_t>(t), prompts_of(t));
  }
  perturb(*sum);
  CHECK(numbers(alpha_of(sum, task)) == numbers(alpha_of(alone, task)));
}

TEST_CASE("what cannot grow is refused in a sentence") {
  CHECK(contains(create_error(growing_options({{"tasks", nlohmann::json::array()}})), "needs the names of the tasks"));
  CHECK(contains(create_error(growing_options({{"rank", 7}})), "2 subspace(s) of rank 7 do not fit"));
  for (const char* formula : {"noreft", "nodireft"}) {
    CHECK(contains(create_error(growing_options({{"edit", formula}})),
                   fmt::format("formula {} has none that is orthonormal: expected --edit loreft or", formula)));
  }
  CHECK(contains(create_error(growing_options({{"decided_by", "labels"}})), "(did you mean label?)"));
  CHECK(contains(create_error(growing_options({{"shrinkage", 0.0}})), "--shrinkage 0 is not possible"));
  CHECK(contains(create_error(growing_options({{"router_layer", 1}})), "expected one from 0 to 0"));
  CHECK(
      contains(create_error(growing_options({{"decided_by", "label"}, {"shrinkage", 0.1}})), "no option 'shrinkage'"));
}
