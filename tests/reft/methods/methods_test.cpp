// Every method through a tiny model, in f64.
#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "autograd/gradcheck.h"
#include "core/tensor/random.h"
#include "reft/interventions/intervention.h"
#include "reft/methods/method.h"
#include "reft/stiefel/stiefel.h"
#include "tests/compare.h"
#include "tests/error_text.h"
#include "tests/tiny_model.h"

using csreft::DType;
using csreft::Llama;
using csreft::Method;
using csreft::MethodOptions;
using csreft::Tensor;
using csreft::Variable;

namespace {

// Two orders of the same sums in f64, on values of order 1.
constexpr double rounding = 1e-12;

MethodOptions options_of(std::string_view method) {
  MethodOptions options;
  options.method = method;
  options.layers = {0, 2};
  options.rank = 2;
  options.positions = "f2+l1";
  options.tied = true;
  options.subspaces = 3;
  options.router_hidden = 5;
  return options;
}

std::unique_ptr<Method> create(const MethodOptions& options, std::uint64_t seed = 1) {
  return csreft::create_method(options, tiny_config(), seed, DType::f64);
}

std::string create_error(const MethodOptions& options) {
  return error_text([&] { return create(options); });
}

// Sequences of 7, 5 and 9 tokens, whose prompts have 5, 3 and 6.
TinyTask tiny_task() {
  const std::vector<std::int64_t> lengths{7, 5, 9}, prompts{5, 3, 6};
  return random_task(lengths, prompts);
}

Tensor hidden_of(const Llama& model, const TinyTask& task, const Method& method) {
  return model.forward(task.batch, method.attach(model, {task.batch, task.prompts}).points).value();
}

// Cross-entropy and, where the method has one, lambda times the penalty.
Variable loss_of(const Llama& model, const TinyTask& task, const Method& method) {
  const auto pass = method.attach(model, {task.batch, task.prompts});
  const Variable ce = task_loss(model, task, pass.points);
  const Variable penalty = pass.gates->alpha.defined() ? method.penalty(*pass.gates) : Variable();
  return penalty.defined() ? csreft::add(ce, csreft::scale(penalty, method.options().lambda)) : ce;
}

// Moves every parameter away from its start, where terms of the gradient vanish.
void perturb(const Method& method) {
  std::uint64_t stream = 0;
  for (const auto& p : method.parameters()) {
    const Tensor noise = csreft::random_normal(p.value.shape(), 0.0, 0.3, 8, stream++, DType::f64);
    csreft::ops::add_(p.value.value(), noise);
  }
}

const Tensor& value_of(const Method& method, std::string_view name) {
  const auto found = std::ranges::find(method.parameters(), name, &csreft::Parameter::name);
  REQUIRE(found != method.parameters().end());
  return found->value.value();
}

void set(const Method& method, std::string_view name, const Tensor& value) {
  const Tensor& target = value_of(method, name);
  REQUIRE(target.shape() == value.shape());
  std::ranges::copy(value.span<double>(), target.span<double>().begin());
}

// A method of an intervention's name applies that formula.
bool starts_as_identity(std::string_view method) {
  return std::ranges::none_of(csreft::interventions(), [&](const csreft::Intervention* intervention) {
    return intervention->name == method && !intervention->starts_as_identity;
  });
}

std::set<std::string> names_of(const Method& method) {
  std::set<std::string> names;
  for (const auto& p : method.parameters()) names.insert(p.name);
  return names;
}

// Compares the gradients of all parameters, moved away from their start, with differences of the loss.
void check_gradients(const Llama& model, const TinyTask& task, const MethodOptions& options) {
  const auto method = create(options);
  perturb(*method);
  std::vector<Variable> inputs;
  for (const auto& p : method->parameters()) inputs.push_back(p.value);
  const auto result = csreft::gradcheck([&] { return loss_of(model, task, *method); }, inputs, {.sample = 3});
  CHECK_MESSAGE(result.passed, result.str());
}

}  // namespace

TEST_CASE("every method has right gradients for all of its parameters") {
  const Llama model = tiny_llama();
  const TinyTask task = tiny_task();
  for (const auto* entry : csreft::methods()) {
    for (const bool tied : {false, true}) {
      CAPTURE(entry->name);
      CAPTURE(tied);
      auto options = options_of(entry->name);
      options.tied = tied;
      options.penalty = "entropy";
      options.lambda = 0.3;
      check_gradients(model, task, options);
    }
  }
}

TEST_CASE("CS-ReFT has right gradients with gates that compete, their penalty, and a router that reads hidden states") {
  const Llama model = tiny_llama();
  const TinyTask task = tiny_task();
  for (const auto* input : csreft::router_inputs()) {
    CAPTURE(input->name);
    auto options = options_of("csreft");
    options.gate = "softmax";
    options.penalty = "mi";
    options.lambda = 0.3;
    options.router_input = input->name;
    check_gradients(model, task, options);
  }
}

TEST_CASE("a new method leaves the model as it is, but for an intervention that says otherwise") {
  const Llama model = tiny_llama();
  const TinyTask task = tiny_task();
  const Tensor plain = model.forward(task.batch).value();
  for (const auto* entry : csreft::methods()) {
    CAPTURE(entry->name);
    const Tensor edited = hidden_of(model, task, *create(options_of(entry->name)));
    CHECK((largest_difference(edited, plain) < rounding) == starts_as_identity(entry->name));
  }
}

TEST_CASE("every method, once moved, changes what the model says") {
  const Llama model = tiny_llama();
  const TinyTask task = tiny_task();
  const Tensor plain = model.forward(task.batch).value();
  for (const auto* entry : csreft::methods()) {
    CAPTURE(entry->name);
    const auto method = create(options_of(entry->name));
    perturb(*method);
    CHECK(largest_difference(hidden_of(model, task, *method), plain) > 1e-3);
  }
}

TEST_CASE("an edit of the last layer changes the chosen tokens of the prompts and no other") {
  const Llama model = tiny_llama();
  const TinyTask task = tiny_task();
  const Tensor plain = model.forward(task.batch).value();
  for (const auto* entry : csreft::methods()) {
    if (entry->name == "lora") continue;
    CAPTURE(entry->name);
    auto options = options_of(entry->name);
    options.layers = {2};
    options.positions = "f1+l1";
    const auto method = create(options);
    perturb(*method);
    const Tensor edited = hidden_of(model, task, *method);
    std::set<std::int64_t> changed;
    for (std::int64_t i = 0; i < plain.rows(); ++i) {
      if (largest_difference(edited.slice(i, i + 1), plain.slice(i, i + 1)) > 1e-6) changed.insert(i);
    }
    // Prompts start at 0, 7 and 12 and have 5, 3 and 6 tokens.
    CHECK(changed == std::set<std::int64_t>{0, 4, 7, 9, 12, 17});
  }
}

TEST_CASE("CS-ReFT with open gates is LoReFT of rank k r with the same stack") {
  const Llama model = tiny_llama();
  const TinyTask task = tiny_task();
  auto options = options_of("csreft");
  const auto stacked = create(options);
  perturb(*stacked);
  // A sigmoid of 50 is 1 - 2e-22: 1 in f64.
  set(*stacked, "router.2.weight", Tensor::zeros({3, 5}, DType::f64));
  set(*stacked, "router.2.bias", Tensor::full({3}, 50.0, DType::f64));
  options.method = "loreft";
  options.rank = 6;
  const auto loreft = create(options);
  for (const auto& p : loreft->parameters()) set(*loreft, p.name, value_of(*stacked, p.name));
  CHECK(largest_difference(hidden_of(model, task, *stacked), hidden_of(model, task, *loreft)) < rounding);
}

TEST_CASE("CS-ReFT with one gate open is LoReFT with that subspace, and with none the model itself") {
  const Llama model = tiny_llama();
  const TinyTask task = tiny_task();
  auto options = options_of("csreft");
  const auto stacked = create(options);
  perturb(*stacked);
  set(*stacked, "router.2.weight", Tensor::zeros({3, 5}, DType::f64));
  const std::vector<double> open_second{-800.0, 50.0, -800.0};
  set(*stacked, "router.2.bias", Tensor::from(std::span<const double>(open_second), {3}));
  options.method = "loreft";
  const auto loreft = create(options);
  for (const auto& p : loreft->parameters()) set(*loreft, p.name, value_of(*stacked, p.name).slice(2, 4));
  CHECK(largest_difference(hidden_of(model, task, *stacked), hidden_of(model, task, *loreft)) < rounding);

  set(*stacked, "router.2.bias", Tensor::full({3}, -800.0, DType::f64));
  CHECK(largest_difference(hidden_of(model, task, *stacked), model.forward(task.batch).value()) < rounding);
}

TEST_CASE("parameters are named by layer, side and letter; tied positions share theirs") {
  auto options = options_of("loreft");
  CHECK(names_of(*create(options)) == std::set<std::string>{"0.t.R", "0.t.W", "0.t.b", "2.t.R", "2.t.W", "2.t.b"});
  options.tied = false;
  CHECK(names_of(*create(options)) == std::set<std::string>{"0.f.R", "0.f.W", "0.f.b", "0.l.R", "0.l.W", "0.l.b",
                                                            "2.f.R", "2.f.W", "2.f.b", "2.l.R", "2.l.W", "2.l.b"});
  options.method = "lora";
  options.layers = {1};
  CHECK(names_of(*create(options)) == std::set<std::string>{"1.q_proj.A", "1.q_proj.B", "1.v_proj.A", "1.v_proj.B"});
  const auto csreft = create(options_of("csreft"));
  CHECK(names_of(*csreft) == std::set<std::string>{"0.t.R", "0.t.W", "0.t.b", "2.t.R", "2.t.W", "2.t.b",
                                                   "router.0.weight", "router.0.bias", "router.2.weight",
                                                   "router.2.bias"});
  CHECK(value_of(*csreft, "0.t.R").shape() == csreft::Shape{6, 12});
}

TEST_CASE("no layers named means all of them, in rising order whatever the order given") {
  auto options = options_of("lobireft");
  options.layers = {};
  CHECK(names_of(*create(options)).contains("1.t.b"));
  options.layers = {2, 0};
  CHECK(create(options)->parameters().front().name == "0.t.R");
}

TEST_CASE("trainable numbers are counted with and without the router") {
  const auto count = csreft::count_parameters(*create(options_of("csreft")));
  // 2 layers of R and W [6, 12] and b [6]; a router 12 -> 5 -> 3.
  CHECK(count.without_router == 2 * (2 * 6 * 12 + 6));
  CHECK(count.total == count.without_router + (5 * 12 + 5) + (3 * 5 + 3));
  const auto lora = csreft::count_parameters(*create(options_of("lora")));
  // q 12 -> 24 and v 12 -> 12, rank 2, 2 layers.
  CHECK(lora.total == 2 * 2 * ((12 + 24) + (12 + 12)));
  CHECK(lora.without_router == lora.total);
}

TEST_CASE("subspaces are orthonormal each, or all together when they are joint") {
  for (const bool joint : {false, true}) {
    auto options = options_of("csreft");
    options.joint = joint;
    const auto method = create(options);
    const auto& R = method->parameters().front();
    REQUIRE(R.name == "0.t.R");
    CHECK(R.manifold == csreft::ParameterManifold::stiefel);
    CHECK(R.block_rows == (joint ? 6 : 2));
    CHECK(csreft::orthonormality_error(R.value.value(), R.block_rows) < rounding);
    for (const auto& p : method->parameters()) CHECK(p.router == p.name.starts_with("router."));
  }
}

TEST_CASE("a seed fixes the start; every place and every seed has another") {
  const auto options = options_of("csreft");
  const auto a = create(options, 1), again = create(options, 1), b = create(options, 2);
  for (std::size_t i = 0; i < a->parameters().size(); ++i) {
    CHECK(largest_difference(a->parameters()[i].value.value(), again->parameters()[i].value.value()) == 0.0);
  }
  CHECK(largest_difference(value_of(*a, "0.t.R"), value_of(*b, "0.t.R")) > 0.01);
  CHECK(largest_difference(value_of(*a, "router.0.weight"), value_of(*b, "router.0.weight")) > 0.01);
  CHECK(largest_difference(value_of(*a, "0.t.R"), value_of(*a, "2.t.R")) > 0.01);
  CHECK(largest_difference(value_of(*a, "0.t.R").slice(0, 2), value_of(*a, "0.t.R").slice(2, 4)) > 0.01);
}

TEST_CASE("generated tokens are left alone by edits and reached by LoRA") {
  const Llama model = tiny_llama();
  for (const auto* entry : csreft::methods()) {
    CAPTURE(entry->name);
    const auto points = create(options_of(entry->name))->attach_generated(model);
    CHECK_FALSE(static_cast<bool>(points.block_output));
    CHECK(static_cast<bool>(points.linear) == (entry->name == "lora"));
  }
}

TEST_CASE("LoRA reaches every linear layer that is named") {
  const Llama model = tiny_llama();
  const TinyTask task = tiny_task();
  const Tensor plain = model.forward(task.batch).value();
  for (const auto* target : {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}) {
    CAPTURE(target);
    auto options = options_of("lora");
    options.targets = {target};
    const auto method = create(options);
    perturb(*method);
    CHECK(largest_difference(hidden_of(model, task, *method), plain) > 1e-6);
  }
}

TEST_CASE("what the model cannot follow is refused in a sentence") {
  const auto with = [](std::string_view method, auto&& change) {
    auto options = options_of(method);
    change(options);
    return create_error(options);
  };
  for (const auto* entry : csreft::methods()) {
    CAPTURE(entry->name);
    CHECK(contains(with(entry->name,
                        [](auto& o) {
                          o.layers = {0, 3};
                        }),
                   "layer 3 does not exist: the model has layers 0 to 2"));
    CHECK(contains(with(entry->name, [](auto& o) { o.layers = {-1}; }), "layer -1 does not exist"));
    CHECK(contains(with(entry->name, [](auto& o) { o.layers = {1, 1}; }), "layer 1 is named twice"));
    CHECK(contains(with(entry->name, [](auto& o) { o.rank = 0; }), "rank 0 is not possible"));
    CHECK(contains(with(entry->name, [](auto& o) { o.rank = 13; }), "rank 13 do not fit hidden states of size 12"));
    if (entry->name == "lora") continue;
    CHECK(contains(with(entry->name, [](auto& o) { o.positions = "first"; }), "positions 'first'"));
  }
  CHECK(contains(with("csreft", [](auto& o) { o.rank = 5; }), "3 subspace(s) of rank 5 do not fit"));
  CHECK(contains(with("csreft", [](auto& o) { o.subspaces = 0; }), "0 subspaces are not possible"));
  CHECK(contains(with("csreft", [](auto& o) { o.router_hidden = 0; }), "hidden width 0"));
  CHECK(contains(with("csreft", [](auto& o) { o.gate = "hardd"; }), "unknown gate 'hardd'"));
  CHECK(contains(with("csreft", [](auto& o) { o.router_input = "mean"; }), "unknown router input 'mean'"));
  CHECK(contains(with("csreft", [](auto& o) { o.penalty = "l2"; }), "unknown penalty 'l2'"));
  CHECK(contains(with("lora", [](auto& o) { o.targets = {"q"}; }), "unknown linear layer 'q'"));
  CHECK(contains(with("lora", [](auto& o) { o.targets = {}; }), "LoRA has no target"));
  CHECK(contains(with("lora", [](auto& o) { o.targets = {"q_proj", "q_proj"}; }), "q_proj is named twice"));
  CHECK(contains(with("lorefft", [](auto&) {}), "unknown method 'lorefft'"));
}

TEST_CASE("a prompt too short for its edit is an error, not a forward without it") {
  const Llama model = tiny_llama();
  const std::vector<std::int64_t> lengths{6, 4}, prompts{4, 1};
  const TinyTask task = random_task(lengths, prompts);
  for (const auto* entry : csreft::methods()) {
    if (entry->name == "lora") continue;
    CAPTURE(entry->name);
    CHECK(contains(error_text([&] { return hidden_of(model, task, *create(options_of(entry->name))); }),
                   "the edit attaches nowhere"));
  }
}

TEST_CASE("methods have names of their own and say what they do") {
  std::set<std::string_view> names;
  for (const auto* entry : csreft::methods()) {
    names.insert(entry->name);
    CHECK_FALSE(entry->summary.empty());
    CHECK(create(options_of(entry->name))->options().method == entry->name);
  }
  CHECK(names.size() == csreft::methods().size());
}
