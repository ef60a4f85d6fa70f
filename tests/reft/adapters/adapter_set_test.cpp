// Adapters in generation: added, scaled, with other gates, and each example with its own.
#include "reft/adapters/adapter_set.h"

#include <doctest/doctest.h>

#include "core/tensor/random.h"
#include "models/llama/generate.h"
#include "tests/compare.h"
#include "tests/error_text.h"
#include "tests/reft/method_tools.h"

using csreft::AdapterSet;
using csreft::DType;
using csreft::NamedAdapter;
using csreft::Tensor;

namespace {

// Two orders of the same sums in f64, on values of order 1.
constexpr double rounding = 1e-12;

const csreft::Llama& model() {
  static const csreft::Llama made = tiny_llama();
  return made;
}

std::shared_ptr<csreft::Method> moved(const csreft::MethodOptions& options, std::uint64_t seed) {
  std::shared_ptr<csreft::Method> method = csreft::create_method(options, model(), seed);
  std::uint64_t stream = 0;
  for (const auto& p : method->parameters()) {
    csreft::ops::add_(p.value.value(), csreft::random_normal(p.value.shape(), 0.0, 0.3, seed, stream++, DType::f64));
  }
  return method;
}

NamedAdapter loreft() {
  return {"edits", moved({"loreft", {{"layers", "1"}, {"rank", 2}, {"positions", "everywhere"}}}, 1)};
}
NamedAdapter lora() { return {"lora", moved({"lora", {{"layers", "0"}, {"rank", 2}}}, 2)}; }
NamedAdapter csreft_adapter() {
  return {"gated", moved(paper_options({{"layers", "2"}, {"rank", 2}, {"subspaces", 2}, {"router_hidden", 4}}), 3)};
}

NamedAdapter partition(std::int64_t layer, const nlohmann::json& tasks) {
  return {
      fmt::format("of {}", layer),
      moved({"csreft",
             {{"layers", std::to_string(layer)}, {"rank", 2}, {"subspaces", 2}, {"gate", "onehot"}, {"tasks", tasks}}},
            4)};
}

const std::vector<TokenIds> prompts{{1, 2, 3, 4}, {5, 6, 7}, {8, 9, 10, 11, 12}};

Tensor hidden_of(csreft::MethodPass& pass, const csreft::TokenBatch& batch) {
  const csreft::NoGrad no_grad;
  return model().forward(batch, pass.points()).value();
}

Tensor hidden_with(const csreft::Method& method, const std::vector<TokenIds>& some = prompts) {
  const csreft::NoGrad no_grad;
  const auto batch = csreft::pack_tokens(some);
  const auto pass = method.attach({batch, csreft::whole_prompts(batch)});
  return hidden_of(*pass, batch);
}

std::vector<std::vector<std::int32_t>> answers(const AdapterSet& set, const std::vector<TokenIds>& some,
                                               std::span<const std::vector<std::size_t>> uses) {
  std::unique_ptr<csreft::MethodPass> pass;
  csreft::GenerationAttachments attachments;
  attachments.prompt = [&](const csreft::TokenBatch& batch) {
    pass = set.attach({batch, csreft::whole_prompts(batch)}, uses);
    return pass->points();
  };
  attachments.generated = [&](std::span<const std::int32_t> sequences) { return pass->generated(sequences); };
  return csreft::generate(model(), some, {.max_new_tokens = 8, .stop_tokens = {}, .sampling = {}}, attachments);
}

}  // namespace

TEST_CASE("one adapter of a set is the adapter itself; scaled by nothing it is the model; two are added") {
  const AdapterSet alone({loreft()}, {0}, {});
  CHECK(largest_difference(hidden_with(alone), hidden_with(*loreft().method)) == 0.0);
  const AdapterSet off({loreft(), lora()}, {0, 1}, {.alpha = {}, .scale = 0.0});
  const csreft::NoGrad no_grad;
  const Tensor plain = model().forward(csreft::pack_tokens(prompts)).value();
  CHECK(largest_difference(hidden_with(off), plain) < rounding);
  // At different layers and sites, the sum is one after the other.
  const AdapterSet both({loreft(), lora()}, {0, 1}, {});
  const auto batch = csreft::pack_tokens(prompts);
  const auto a = loreft(), b = lora();
  const auto first = a.method->attach({batch, csreft::whole_prompts(batch)}),
             second = b.method->attach({batch, csreft::whole_prompts(batch)});
  const Tensor chained = model().forward(batch, csreft::chained({first->points(), second->points()})).value();
  CHECK(largest_difference(hidden_with(both), chained) < rounding);
  // At the same place, changes are added, not chained: twice the same adapter is twice its change there.
  const AdapterSet twice({{"a", loreft().method}, {"b", loreft().method}}, {0, 1}, {}),
      doubled({loreft()}, {0}, {.alpha = {}, .scale = 2.0});
  CHECK(largest_difference(hidden_with(twice), hidden_with(doubled)) < rounding);
}

TEST_CASE("a batch whose examples have adapters of their own gives each what it has alone, prompts and answers") {
  const AdapterSet set({loreft(), lora(), csreft_adapter()}, {0}, {});
  const std::vector<std::vector<std::size_t>> uses{{1}, {}, {0, 2}};
  const auto batch = csreft::pack_tokens(prompts);
  const auto pass = set.attach({batch, csreft::whole_prompts(batch)}, uses);
  const Tensor together = hidden_of(*pass, batch);
  const auto offsets = batch.layout.q_offsets.span<std::int32_t>();
  const auto all = answers(set, prompts, uses);
  for (std::size_t e = 0; e < prompts.size(); ++e) {
    CAPTURE(e);
    const std::vector<TokenIds> one{prompts[e]};
    const auto alone_batch = csreft::pack_tokens(one);
    const auto alone = set.attach({alone_batch, csreft::whole_prompts(alone_batch)}, std::span(uses).subspan(e, 1));
    CHECK(largest_difference(together.slice(offsets[e], offsets[e + 1]), hidden_of(*alone, alone_batch)) < rounding);
    CHECK(answers(set, one, std::span(uses).subspan(e, 1)).front() == all[e]);
  }
  CHECK(answers(set, prompts, std::vector<std::vector<std::size_t>>(3)) != all);
}

TEST_CASE("a task is known by its name to each adapter whose gates it decides, wherever that stands in the set") {
  const NamedAdapter a = partition(1, {"x", "y"}), b = partition(2, {"y", "z"}), learned = csreft_adapter();
  const auto batch = csreft::pack_tokens(prompts);
  const auto spans = csreft::whole_prompts(batch);
  const auto with = [&](const csreft::Method& method, std::int32_t task) {
    return method.attach({batch, spans, std::vector<std::int32_t>(3, task)});
  };
  // At different layers, the sum is one after the other: y is a's second subspace and b's first.
  const AdapterSet both({a, b}, {0, 1}, {});
  const auto in_a = with(*a.method, 1), in_b = with(*b.method, 0), in_both = with(both, both.task_index("y"));
  const csreft::NoGrad no_grad;
  const Tensor chained = model().forward(batch, csreft::chained({in_a->points(), in_b->points()})).value();
  CHECK(largest_difference(hidden_of(*in_both, batch), chained) < rounding);
  CHECK(contains(error_text([&] { both.task_index("z"); }), "adapter of 1: gate onehot knows no task 'z'"));

  // Behind one with a router, whether or not it is in use.
  const AdapterSet behind({learned, b}, {0, 1}, {}), not_in_use({learned, b}, {0}, {});
  const auto in_learned = with(*learned.method, -1), in_behind = with(behind, behind.task_index("y"));
  const Tensor expected = hidden_with(AdapterSet({learned, {"b", b.method}}, {0}, {}));
  CHECK(largest_difference(hidden_of(*in_behind, batch), expected) > 1e-3);
  CHECK(contains(error_text([&] { behind.task_index(""); }), "adapter of 2: gate onehot is decided by the task"));
  CHECK(not_in_use.task_index("") == -1);
  CHECK(largest_difference(hidden_with(not_in_use), hidden_of(*in_learned, batch)) == 0.0);
  const std::vector<std::vector<std::size_t>> uses{{1}, {1}, {1}};
  CHECK(contains(error_text([&] { not_in_use.task_index("", uses); }), "adapter of 2: gate onehot is decided"));
  const std::vector<std::int32_t> z(3, not_in_use.task_index("z", uses)), none(3, -1), outside(3, 9);
  const auto named = not_in_use.attach({batch, spans, z}, uses), second = with(*b.method, 1);
  CHECK(largest_difference(hidden_of(*named, batch), hidden_of(*second, batch)) < rounding);
  CHECK(contains(error_text([&] {
                   not_in_use.attach({batch, spans, none}, uses);
                 }),
                 "expected --task with one of y, z"));
  CHECK(contains(error_text([&] { not_in_use.attach({batch, spans, outside}, uses); }), "task 9 of 2"));
}

TEST_CASE("gates by token generate beside an adapter that other examples have, and not beside one on the same") {
  const NamedAdapter gated{"gated", moved({"csreft",
                                           {{"layers", "1,2"},
                                            {"rank", 2},
                                            {"subspaces", 2},
                                            {"gate_scope", "token"},
                                            {"positions", "everywhere"},
                                            {"router_hidden", 4}}},
                                          3)};
  const AdapterSet set({gated, lora()}, {0}, {}), alone({gated}, {0}, {});
  const std::vector<std::vector<std::size_t>> apart{{0}, {1}, {0}}, together{{0}, {1}, {0, 1}}, all{{0}, {0}};
  const auto answered = answers(set, prompts, apart);
  const auto expected = answers(alone, {prompts[0], prompts[2]}, all);
  CHECK(answered[0] == expected[0]);
  CHECK(answered[2] == expected[1]);
  CHECK(contains(error_text([&] { answers(set, prompts, together); }),
                 "adapter gated: gates by token cannot follow generated tokens beside other methods"));
}

TEST_CASE("what a set cannot do is refused, and the adapter is named") {
  const AdapterSet set({loreft(), lora()}, {0}, {});
  CHECK(set.find("lora") == 1);
  CHECK(contains(error_text([&] { set.find("lorra"); }), "unknown adapter 'lorra' (did you mean lora?)"));
  CHECK(contains(error_text([] { AdapterSet wrong({lora()}, {0}, {.alpha = {1.0}}); }), "no adapter has gates"));
  CHECK(contains(error_text([] { AdapterSet wrong({csreft_adapter()}, {0}, {.alpha = {1.0}}); }),
                 "--alpha has 1 numbers, adapter gated has 2 subspaces"));
  const NamedAdapter picky{"picky", moved({"loreft", {{"layers", "1"}, {"rank", 2}, {"positions", "4"}}}, 1)};
  const AdapterSet positions({picky}, {0}, {});
  CHECK(contains(error_text([&] { hidden_with(positions); }), "adapter picky: position 4 lies outside"));
  const AdapterSet gated({csreft_adapter()}, {0}, {.alpha = {0.0, 0.0}});
  const csreft::NoGrad no_grad;
  CHECK(largest_difference(hidden_with(gated), model().forward(csreft::pack_tokens(prompts)).value()) < rounding);
}
