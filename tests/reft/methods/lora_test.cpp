// LoRA, O-LoRA and sums of methods.
#include <cmath>
#include <set>

#include "tests/reft/methods/method_cases.h"

using csreft::MethodOptions;
using csreft::Tensor;
using csreft::Variable;

TEST_CASE("a sum of methods does what each does, one after the other, under its own names") {
  const TinyTask task = tiny_task();
  MethodOptions options{"lora+loreft",
                        {{"layers", "0,2"}, {"rank", 2}, {"loreft.rank", 3}, {"loreft.positions", "f1"}}};
  const TinyMethod sum(options);
  CHECK(value_of(*sum, "lora.0.q_proj.A").shape() == csreft::Shape{2, 12});
  CHECK(value_of(*sum, "loreft.0.f.R").shape() == csreft::Shape{3, 12});
  perturb(*sum);
  const TinyMethod lora({"lora", {{"layers", "0,2"}, {"rank", 2}}});
  for (const auto& p : lora->parameters()) set(*lora, p.name, value_of(*sum, "lora." + p.name));
  const TinyMethod loreft({"loreft", {{"layers", "0,2"}, {"rank", 3}, {"positions", "f1"}}});
  for (const auto& p : loreft->parameters()) set(*loreft, p.name, value_of(*sum, "loreft." + p.name));
  const auto a = lora->attach({task.batch, task.prompts}), b = loreft->attach({task.batch, task.prompts});
  const Tensor both = sum.model->forward(task.batch, csreft::chained({a->points(), b->points()})).value();
  CHECK(largest_difference(hidden_of(sum, task), both) < rounding);
  // Each part draws for itself.
  const TinyMethod twins({"loreft+noreft", {{"layers", "0"}, {"rank", 2}, {"positions", "f1"}}});
  CHECK(largest_difference(value_of(*twins, "loreft.0.f.W"), value_of(*twins, "noreft.0.f.W")) > 0.01);
  CHECK(contains(create_error({"csreft+csreft"}), "has csreft twice"));
  CHECK(contains(create_error({"lora+lora"}), "has lora twice"));
  CHECK(contains(create_error({"lora+"}), "unknown method ''"));
  CHECK(contains(create_error({"lora+full"}), "expected it alone"));
  CHECK(contains(create_error({"lora+loreft", {{"lora.gate", "soft"}}}), "no option 'lora.gate'"));
}

TEST_CASE("O-LoRA learns a LoRA a task: earlier ones are frozen, and a penalty keeps A apart") {
  const TinyTask task = tiny_task();
  const TinyMethod made(options_of("olora"));
  perturb(*made);
  const auto gradients_of = [&](std::int64_t number) {
    for (const auto& p : made->parameters()) p.value.clear_grad();
    made->begin_task(number);
    const auto pass = made->attach({task.batch, task.prompts, {}, csreft::TrainingMoment{}});
    const Variable regulariser = made->regulariser();
    Variable loss = task_loss(*made.model, task, pass->points());
    if (regulariser.defined()) loss = csreft::add(loss, regulariser);
    csreft::backward(loss);
    std::set<std::string> trained;
    for (const auto& p : made->parameters()) {
      if (p.value.grad().defined()) trained.insert(p.name.substr(0, p.name.find('.')));
    }
    return trained;
  };
  CHECK(gradients_of(0) == std::set<std::string>{"one"});
  CHECK_FALSE(made->regulariser().defined());
  CHECK(gradients_of(1) == std::set<std::string>{"two"});
  // 0.5 sum |A_1 A_2^T| over the places.
  double expected = 0.0;
  for (const char* place : {"0.q_proj.A", "0.v_proj.A", "2.q_proj.A", "2.v_proj.A"}) {
    const Tensor products = csreft::ops::matmul(value_of(*made, fmt::format("one.{}", place)),
                                                value_of(*made, fmt::format("two.{}", place)),
                                                csreft::ops::Transpose::no, csreft::ops::Transpose::yes);
    for (const double x : products.span<double>()) expected += 0.5 * std::abs(x);
  }
  CHECK(made->regulariser().value().item() == doctest::Approx(expected));
}

TEST_CASE("LoRA reaches every linear layer that is named, by its short name, too, and only the tokens asked for") {
  const TinyTask task = tiny_task();
  const Tensor plain = tiny_llama().forward(task.batch).value();
  for (const auto* target : {"q_proj", "k", "v_proj", "o_proj", "gate", "up_proj", "down_proj"}) {
    CAPTURE(target);
    auto options = options_of("lora");
    options["targets"] = target;
    const TinyMethod made(options);
    perturb(*made);
    CHECK(largest_difference(hidden_of(made, task), plain) > 1e-6);
  }
  auto options = options_of("lora");
  options["layers"] = "2";
  options["targets"] = "down_proj";
  options["positions"] = "l1";
  const TinyMethod last(options);
  perturb(*last);
  const Tensor hidden = hidden_of(last, task);
  for (std::int64_t row = 0; row < hidden.rows(); ++row) {
    const bool changed = largest_difference(hidden.slice(row, row + 1), plain.slice(row, row + 1)) > 1e-9;
    CHECK(changed == (row == 4 || row == 9 || row == 17));
  }
}

TEST_CASE("rsLoRA scales by alpha over the root of the rank") {
  const TinyTask task = tiny_task();
  auto options = options_of("lora");
  options["rank"] = 4;
  options["lora_alpha"] = 8.0;  // 8 / 4 = 2
  const TinyMethod plain(options);
  options["rslora"] = true;
  options["lora_alpha"] = 4.0;  // 4 / sqrt(4) = 2
  const TinyMethod rooted(options);
  perturb(*plain);
  perturb(*rooted);
  CHECK(largest_difference(hidden_of(plain, task), hidden_of(rooted, task)) < rounding);
}
