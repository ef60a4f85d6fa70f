// Every method through a tiny model, in f64.
#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "tests/reft/methods/method_cases.h"

using csreft::MethodOptions;
using csreft::Tensor;

TEST_CASE("every method has right gradients for all of its parameters") {
  const TinyTask task = tiny_task();
  for (const auto* entry : csreft::methods()) {
    for (const char* positions : {"f2=l1", "f2+l1"}) {
      CAPTURE(entry->name);
      CAPTURE(positions);
      auto options = options_of(entry->name);
      if (edits(entry->name)) options["positions"] = positions;
      if (entry->name == "csreft") {
        options["penalty"] = "entropy";
        options["lambda"] = 0.3;
      }
      check_gradients(task, options);
    }
  }
}

TEST_CASE("CS-ReFT has right gradients with gates that compete, their penalty, and a router that reads hidden states") {
  const TinyTask task = tiny_task();
  for (const auto* input : csreft::router_inputs()) {
    CAPTURE(input->name);
    auto options = options_of("csreft");
    options["gate"] = "softmax";
    options["penalty"] = "mi";
    options["lambda"] = 0.3;
    options["router_input"] = input->name;
    check_gradients(task, options);
  }
}

TEST_CASE("every formula has right gradients with every activation of its source") {
  const TinyTask task = tiny_task();
  for (const auto* intervention : csreft::interventions()) {
    if (!csreft::has_source(*intervention)) continue;
    for (const auto& activation : csreft::activations()) {
      CAPTURE(intervention->name);
      CAPTURE(activation.name);
      auto options = options_of(intervention->name);
      options["activation"] = activation.name;
      check_gradients(task, options);
    }
  }
}

TEST_CASE("a new method that starts as the identity leaves the model as it is, but for a formula that cannot") {
  const TinyTask task = tiny_task();
  const Tensor plain = tiny_llama().forward(task.batch).value();
  for (const auto* entry : csreft::methods()) {
    CAPTURE(entry->name);
    const TinyMethod made(options_of(entry->name));
    CHECK((largest_difference(hidden_of(made, task), plain) < rounding) == made->notices().empty());
    CHECK(made->notices().empty() == (entry->name != "consreft"));
  }
}

TEST_CASE("a start that is to be the identity, and is none with the activation asked for, is told of") {
  const TinyTask task = tiny_task();
  const Tensor plain = tiny_llama().forward(task.batch).value();
  std::set<std::string> told;
  for (const auto* formula : csreft::interventions()) {
    for (const auto& activation : csreft::activations()) {
      if (!csreft::has_source(*formula) && activation.name != "linear") continue;
      for (const bool gated : {false, true}) {
        if (gated && !csreft::has_rank(*formula)) continue;
        CAPTURE(formula->name);
        CAPTURE(activation.name);
        auto options = options_of(gated ? "csreft" : formula->name);
        if (gated) options["edit"] = formula->name;
        if (csreft::has_source(*formula)) options["activation"] = activation.name;
        const TinyMethod made(options);
        const auto notices = made->notices();
        CHECK((largest_difference(hidden_of(made, task), plain) < rounding) == notices.empty());
        if (notices.empty()) continue;
        CHECK(contains(notices.front(), "has no start that leaves hidden states as they are"));
        told.insert(fmt::format("{} {}", formula->name, activation.name));
        options["edit_start"] = "published";
        CHECK(TinyMethod(options)->notices().empty());  // nothing was promised
      }
    }
  }
  // Among others, if the table has more formulas.
  const std::set<std::string> known{"loreft relu",    "loreft sigmoid", "loreft silu",    "loreft tanh",
                                    "loreft gelu",    "noreft relu",    "noreft sigmoid", "noreft silu",
                                    "noreft tanh",    "noreft gelu",    "direft sigmoid", "nodireft sigmoid",
                                    "consreft linear"};
  CHECK(std::ranges::includes(told, known));
  const TinyMethod sum({"lora+consreft", {{"layers", "0"}, {"rank", 2}, {"consreft.edit_start", "identity"}}});
  CHECK(sum->notices().size() == 1);
}

TEST_CASE("one gate alone has nothing to compete with: every gate of the table that competes refuses it") {
  for (const auto* gate : csreft::gates()) {
    if (gate->create()->source() != csreft::GateSource::router) continue;
    CAPTURE(gate->name);
    auto options = options_of("csreft");
    options["gate"] = gate->name;
    options["subspaces"] = 2;
    options["shared"] = 1;
    const std::string error = create_error(options);
    CHECK(error.empty() == !gate->create()->competes());
    if (error.empty()) continue;
    CHECK(contains(error, "1 subspace has nothing to compete with: expected --subspaces of at least 3"));
    options["shared"] = 0;
    CHECK(create_error(options).empty());
    options["subspaces"] = 1;
    CHECK(contains(create_error(options), "expected --subspaces of at least 2"));
  }
}

TEST_CASE("every method, once moved, changes what the model says") {
  const TinyTask task = tiny_task();
  const Tensor plain = tiny_llama().forward(task.batch).value();
  for (const auto* entry : csreft::methods()) {
    CAPTURE(entry->name);
    const TinyMethod made(options_of(entry->name));
    perturb(*made);
    CHECK(largest_difference(hidden_of(made, task), plain) > 1e-3);
  }
}

TEST_CASE("an edit of the last layer changes the chosen tokens of the prompts and no other") {
  const TinyTask task = tiny_task();
  const Tensor plain = tiny_llama().forward(task.batch).value();
  for (const auto* entry : csreft::methods()) {
    if (!edits(entry->name)) continue;
    CAPTURE(entry->name);
    auto options = options_of(entry->name);
    options["layers"] = "2";
    options["positions"] = "f1=l1";
    const TinyMethod made(options);
    perturb(*made);
    const Tensor edited = hidden_of(made, task);
    std::set<std::int64_t> changed;
    for (std::int64_t i = 0; i < plain.rows(); ++i) {
      if (largest_difference(edited.slice(i, i + 1), plain.slice(i, i + 1)) > 1e-6) changed.insert(i);
    }
    // Prompts start at 0, 7 and 12 and have 5, 3 and 6 tokens.
    CHECK(changed == std::set<std::int64_t>{0, 4, 7, 9, 12, 17});
  }
}

TEST_CASE("dropout and noise take part in training alone, and are the same at the same moment of a run") {
  const TinyTask task = tiny_task();
  for (const auto& [name, gate, share] :
       {std::tuple{"loreft", "", 0.5}, {"lora", "", 0.5}, {"csreft", "soft", 0.5}, {"csreft", "gumbel", 0.0}}) {
    CAPTURE(name);
    auto options = options_of(name);
    if (!std::string_view(gate).empty()) options["gate"] = gate;
    options["dropout"] = share;
    const TinyMethod made(options);
    perturb(*made);
    const auto hidden_at = [&](std::optional<csreft::TrainingMoment> moment) {
      const auto pass = made->attach({task.batch, task.prompts, {}, moment});
      return made.model->forward(task.batch, pass->points()).value();
    };
    CHECK(largest_difference(hidden_at({}), hidden_at({})) == 0.0);
    std::set<double> sums;
    for (std::int64_t step = 0; step < 8; ++step) {
      const csreft::TrainingMoment moment{.step = step, .total_steps = 8, .seed = 3};
      const Tensor hidden = hidden_at(moment);
      CHECK(largest_difference(hidden, hidden_at(moment)) == 0.0);
      sums.insert(csreft::ops::squared_norm(hidden));
    }
    // A draw of eight is hardly ever the same twice, but noise may choose the same gates.
    CHECK(sums.size() > (options.contains("dropout") && options.at("dropout") != 0.0 ? 7 : 1));
    if (options.at("dropout") == 0.0) continue;
    // Behind other examples of the same step, in whatever pass or process.
    const csreft::TrainingMoment first{.step = 0, .total_steps = 8, .seed = 3},
        second{.step = 0, .total_steps = 8, .seed = 3, .before = task.prompts};
    CHECK(largest_difference(hidden_at(first), hidden_at(second)) > 0.0);
  }
}

TEST_CASE("parameters are named by layer, side and letter; tied positions share theirs") {
  auto options = options_of("loreft");
  CHECK(names_of(*TinyMethod(options)) == std::set<std::string>{"0.t.R", "0.t.W", "0.t.b", "2.t.R", "2.t.W", "2.t.b"});
  options["positions"] = "f2+l1";
  CHECK(names_of(*TinyMethod(options)) == std::set<std::string>{"0.f.R", "0.f.W", "0.f.b", "0.l.R", "0.l.W", "0.l.b",
                                                                "2.f.R", "2.f.W", "2.f.b", "2.l.R", "2.l.W", "2.l.b"});
  options["tied"] = true;
  CHECK(names_of(*TinyMethod(options)) == std::set<std::string>{"0.t.R", "0.t.W", "0.t.b", "2.t.R", "2.t.W", "2.t.b"});
  auto lora = options_of("lora");
  lora["layers"] = "1";
  CHECK(names_of(*TinyMethod(lora)) == std::set<std::string>{"1.q_proj.A", "1.q_proj.B", "1.v_proj.A", "1.v_proj.B"});
  const TinyMethod csreft(options_of("csreft"));
  CHECK(names_of(*csreft) == std::set<std::string>{"0.t.R", "0.t.W", "0.t.b", "2.t.R", "2.t.W", "2.t.b",
                                                   "router.0.weight", "router.0.bias", "router.2.weight",
                                                   "router.2.bias"});
  CHECK(value_of(*csreft, "0.t.R").shape() == csreft::Shape{6, 12});
}

TEST_CASE("layers: all of them, some in rising order whatever the order given, or as at another depth") {
  auto options = options_of("lobireft");
  options["layers"] = "all";
  CHECK(names_of(*TinyMethod(options)).contains("1.t.b"));
  options["layers"] = "2,0";
  CHECK(TinyMethod(options)->parameters().front().name == "0.t.R");
  options["layers"] = "3,9,18,24 of 32";  // 0, 0, 1 and 2 of 3
  CHECK(TinyMethod(options)->options().at("layers") == "0,1,2");
  options["layers"] = "auto";
  CHECK(TinyMethod(options)->options().at("layers") == "0,1,2");
  for (const char* text : {"", "a", "1,", "1,,2", "1.5", "1 2", "3,40 of 32", "1 of", "1 of x", "1 of 0"}) {
    CAPTURE(text);
    options["layers"] = text;
    CHECK(contains(create_error(options), "is not understood: expected auto, all, numbers"));
  }
}

TEST_CASE("trainable numbers are counted part by part") {
  const auto count = csreft::count_parameters(*TinyMethod(options_of("csreft")));
  // 2 layers of R and W [6, 12] and b [6]; a router 12 -> 5 -> 3.
  CHECK(count.edits == 2 * (2 * 6 * 12 + 6));
  CHECK(count.router == (5 * 12 + 5) + (3 * 5 + 3));
  CHECK(count.total == count.edits + count.router);
  CHECK(count.without_router() == count.edits);
  const auto lora = csreft::count_parameters(*TinyMethod(options_of("lora")));
  // q 12 -> 24 and v 12 -> 12, rank 2, 2 layers.
  CHECK(lora.total == 2 * 2 * ((12 + 24) + (12 + 12)));
  CHECK(lora.adapters == lora.total);
  CHECK(csreft::count_parameters(*TinyMethod({"full"})).model == csreft::parameter_count(tiny_config()));
}

TEST_CASE("a seed fixes the start; every place and every seed has another") {
  const auto options = options_of("csreft");
  const TinyMethod a(options, 1), again(options, 1), b(options, 2);
  for (std::size_t i = 0; i < a->parameters().size(); ++i) {
    CHECK(largest_difference(a->parameters()[i].value.value(), again->parameters()[i].value.value()) == 0.0);
  }
  CHECK(largest_difference(value_of(*a, "0.t.R"), value_of(*b, "0.t.R")) > 0.01);
  CHECK(largest_difference(value_of(*a, "router.0.weight"), value_of(*b, "router.0.weight")) > 0.01);
  CHECK(largest_difference(value_of(*a, "0.t.R"), value_of(*a, "2.t.R")) > 0.01);
  CHECK(largest_difference(value_of(*a, "0.t.R").slice(0, 2), value_of(*a, "0.t.R").slice(2, 4)) > 0.01);
}

TEST_CASE("generated tokens are left alone by edits of prompts, and reached by LoRA and by edits of everywhere") {
  const TinyTask task = tiny_task();
  const std::vector<std::int32_t> examples{0, 2};
  const auto generated = [&](const MethodOptions& options, auto&& check) {
    const TinyMethod made(options);
    const auto pass = made->attach({task.batch, task.prompts});
    check(pass->generated(examples));
  };
  for (const auto* entry : csreft::methods()) {
    CAPTURE(entry->name);
    auto options = options_of(entry->name);
    generated(options, [&](const csreft::Attachments& points) {
      if (options.contains("positions")) CHECK_FALSE(static_cast<bool>(points.block_output));
      CHECK(static_cast<bool>(points.linear) == (entry->name == "lora" || entry->name == "olora"));
    });
    if (!edits(entry->name)) continue;
    options["positions"] = "everywhere";
    generated(options, [](const csreft::Attachments& points) { CHECK(static_cast<bool>(points.block_output)); });
  }
}

TEST_CASE("what reaches everywhere is learnt as it is generated: a response fed whole is that fed token by token") {
  const std::vector<std::int64_t> lengths{7, 5}, prompts{4, 3};
  const TinyTask task = random_task(lengths, prompts);
  csreft::PromptSpans spans = task.prompts;
  spans.ends = {7, 12};
  const csreft::NoGrad no_grad;
  for (const auto& [name, positions] : {std::pair{"loreft", "everywhere"},
                                        {"csreft", "everywhere"},
                                        {"by token", "everywhere"},
                                        {"loreft", "f1+everywhere"},
                                        {"lora", "everywhere"},
                                        {"lora", "f1+everywhere"},
                                        {"lora", "f1=everywhere"},
                                        {"lora", "f1+l1"},
                                        {"olora", "f1=everywhere"},
                                        {"growing", "everywhere"}}) {
    CAPTURE(name);
    CAPTURE(positions);
    const bool by_token = std::string_view(name) == "by token";
    auto options = options_of(by_token ? "csreft" : name);
    options["positions"] = positions;
    if (by_token) {
      options["router_input"] = "hidden";
      options["gate_scope"] = "token";
      options["shared"] = 1;
      options["layers"] = "1,2";
    }
    const TinyMethod made(options);
    for (std::size_t t = 0; t < made->sequence().size(); ++t) {
      made->begin_task(static_cast<std::int64_t>(t), std::span(task.sequences).subspan(t, 1));
    }
    perturb(*made);
    const auto whole = made->attach({task.batch, spans});
    const Tensor at_once = made.model->forward(task.batch, whole->points()).value();

    csreft::KvCache cache(made.model->config(), 2, 16, made.model->cache_options());
    std::vector<std::vector<std::int32_t>> firsts;
    for (std::size_t e = 0; e < 2; ++e) {
      firsts.emplace_back(task.sequences[e].begin(), task.sequences[e].begin() + prompts[e]);
    }
    const std::vector<std::int32_t> slots{0, 1};
    const auto batch = cache.extend(slots, firsts);
    const auto pass = made->attach({batch, csreft::whole_prompts(batch)});
    made.model->forward(batch, pass->points(), &cache);
    for (std::int64_t step = 0; step < 2; ++step) {
      std::vector<std::vector<std::int32_t>> next;
      for (std::size_t e = 0; e < 2; ++e) {
        next.push_back({task.sequences[e][static_cast<std::size_t>(prompts[e] + step)]});
      }
      const auto one = cache.extend(slots, next);
      const Tensor hidden = made.model->forward(one, pass->generated(slots), &cache).value();
      for (std::int64_t e = 0; e < 2; ++e) {
        const std::int64_t row = (e == 0 ? 0 : 7) + prompts[static_cast<std::size_t>(e)] + step;
        CHECK(largest_difference(hidden.slice(e, e + 1), at_once.slice(row, row + 1)) < 1e-10);
      }
    }
  }
}

TEST_CASE("what the model cannot follow is refused in a sentence") {
  const auto with = [](std::string_view method, const std::string& name, const nlohmann::json& value) {
    auto options = options_of(method);
    options[name] = value;
    return create_error(options);
  };
  for (const auto* entry : csreft::methods()) {
    CAPTURE(entry->name);
    const auto known = csreft::read_options(options_of(entry->name)).known;
    const auto has = [&](const std::string& option) { return std::ranges::find(known, option) != known.end(); };
    if (has("layers")) {
      CHECK(contains(with(entry->name, "layers", "0,3"), "layer 3 does not exist: expected 0 to 2"));
      CHECK(contains(with(entry->name, "layers", "-1"), "layer -1 does not exist"));
      CHECK(contains(with(entry->name, "layers", "1,1"), "layer 1 is named twice"));
    }
    if (has("positions")) CHECK(contains(with(entry->name, "positions", "first"), "'first'"));
    if (has("rank")) {
      CHECK(contains(with(entry->name, "rank", 0), "--rank 0 is not possible: expected 1 or more"));
      CHECK(contains(with(entry->name, "rank", 13), "rank 13 do not fit hidden states of size 12"));
    }
  }
  CHECK(contains(with("csreft", "rank", 5), "3 subspace(s) of rank 5 do not fit"));
  CHECK(contains(with("csreft", "subspaces", 0), "--subspaces 0 is not possible"));
  CHECK(contains(with("csreft", "shared", 3), "--shared 3 leaves none of 3 subspaces"));
  CHECK(contains(with("csreft", "shared", -1), "--shared -1 is not possible"));
  CHECK(contains(with("csreft", "router_hidden", 0), "--router-hidden 0"));
  CHECK(contains(with("csreft", "gate", "hardd"), "unknown gate 'hardd'"));
  CHECK(contains(with("csreft", "edit", "red"), "unknown edit 'red'"));
  CHECK(contains(with("csreft", "router_input", "mean"), "unknown router input 'mean'"));
  CHECK(contains(with("csreft", "penalty", "l2"), "unknown penalty 'l2'"));
  CHECK(contains(with("csreft", "gate_scope", "token"), "expected --router-input hidden beside --gate-scope token"));
  CHECK(contains(with("csreft", "tau", 0.5), "no option 'tau'"));
  auto hard = options_of("csreft");
  hard["gate"] = "hard";
  for (const double tau : {0.0, 1.0, -0.5, 1.5}) {
    hard["tau"] = tau;
    CHECK(contains(create_error(hard), "expected a number between 0 and 1"));
  }
  auto topk = options_of("csreft");
  topk["gate"] = "topk";
  topk["topk"] = 4;
  CHECK(contains(create_error(topk), "--topk 4 is not possible with 3 gates"));
  CHECK(contains(with("loreft", "dropout", 1.0), "--dropout 1 is not possible"));
  CHECK(contains(with("loreft", "edit_start", "zero"), "unknown edit start 'zero'"));
  CHECK(contains(with("loreft", "activation", "swish"), "unknown activation 'swish'"));
  CHECK(contains(with("lora", "targets", "x"), "unknown linear layer 'x': expected one of q_proj"));
  CHECK(contains(with("lora", "targets", ""), "LoRA has no target"));
  CHECK(contains(with("lora", "targets", "q_proj,q_proj"), "q_proj is named twice"));
  CHECK(contains(create_error({"olora"}), "needs the names of the tasks"));
  CHECK(contains(create_error({"lorefft"}), "unknown method 'lorefft'"));
}

TEST_CASE("a prompt too short for its edit is an error, not a forward without it") {
  const std::vector<std::int64_t> lengths{6, 4}, prompts{4, 1};
  const TinyTask task = random_task(lengths, prompts);
  for (const auto* entry : csreft::methods()) {
    if (!edits(entry->name)) continue;
    CAPTURE(entry->name);
    CHECK(contains(error_text([&] { return hidden_of(TinyMethod(options_of(entry->name)), task); }),
                   "the edit attaches nowhere"));
  }
}

TEST_CASE("methods have names of their own and say what they do; made again from their options they are the same") {
  std::set<std::string_view> names;
  for (const auto* entry : csreft::methods()) {
    names.insert(entry->name);
    CHECK_FALSE(entry->summary.empty());
    const TinyMethod made(options_of(entry->name));
    CHECK(made->options().method == entry->name);
    CHECK(TinyMethod(made->options())->options().values == made->options().values);
  }
  CHECK(names.size() == csreft::methods().size());
}
