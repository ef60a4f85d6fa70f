// Llama on small random models, in f64 unless a test says otherwise.
#include "models/llama/llama.h"

#include <set>

#include <doctest/doctest.h>

#include "autograd/gradcheck.h"
#include "core/cpu/allocator.h"
#include "core/tensor/random.h"
#include "models/llama/fingerprint.h"
#include "tests/compare.h"
#include "tests/device.h"
#include "tests/error_text.h"
#include "tests/tiny_model.h"

using csreft::DType;
using csreft::LinearSite;
using csreft::Llama;
using csreft::Tensor;
using csreft::Variable;
using csreft::Weights;

namespace {

// Two orders of the same sums in f64, on values of order 1.
constexpr double rounding = 1e-12;

Llama llama_of(const csreft::LlamaConfig& config, Weights weights = Weights::frozen, DType dtype = DType::f64) {
  return Llama(tiny_checkpoint(config), weights, dtype);
}

Tensor hidden_of(const Llama& model, const std::vector<TokenIds>& sequences) {
  return model.forward(csreft::pack_tokens(sequences)).value();
}

std::vector<TokenIds> tiny_sequences(std::initializer_list<std::int64_t> lengths) {
  return random_sequences(std::span(lengths.begin(), lengths.size()), tiny_config().vocab_size);
}

TinyTask tiny_task() {
  const std::vector<std::int64_t> lengths{7, 2, 4}, prompts{3, 1, 2};
  return random_task(lengths, prompts);
}

std::vector<Variable> values_of(const Llama& model) {
  std::vector<Variable> values;
  for (const auto& [_, value] : model.parameters()) values.push_back(value);
  return values;
}

}  // namespace

TEST_CASE("the loss has right gradients for every weight of a Llama, tied and untied") {
  for (const bool tied : {false, true}) {
    CAPTURE(tied);
    auto config = tiny_config();
    config.tie_word_embeddings = tied;
    const Llama model = llama_of(config, Weights::trainable);
    const TinyTask task = tiny_task();
    const auto result = csreft::gradcheck([&] { return task_loss(model, task); }, values_of(model), {.sample = 6});
    CHECK_MESSAGE(result.passed, result.str());
    CHECK(result.checked == 6 * static_cast<std::int64_t>(model.parameters().size()));
  }
}

TEST_CASE("trainable weights have Hugging Face's names, a tied head none of its own; frozen ones are not listed") {
  auto config = tiny_config();
  CHECK(llama_of(config).parameters().empty());
  for (const bool tied : {false, true}) {
    config.tie_word_embeddings = tied;
    std::set<std::string> names;
    const Llama model = llama_of(config, Weights::trainable);
    for (const auto& [name, _] : model.parameters()) names.insert(name);
    CHECK(names.size() == model.parameters().size());
    CHECK(names.contains("model.layers.2.self_attn.q_proj.weight"));
    CHECK(names.contains("lm_head.weight") == !tied);
    CHECK(names.size() == csreft::parameter_shapes(config).size());
  }
}

TEST_CASE("frozen and trainable weights give the same hidden states and logits") {
  const auto sequences = tiny_sequences({5, 3});
  const Llama frozen = tiny_llama(Weights::frozen), trainable = tiny_llama(Weights::trainable);
  const Variable a = frozen.forward(csreft::pack_tokens(sequences));
  const Variable b = trainable.forward(csreft::pack_tokens(sequences));
  CHECK_FALSE(a.requires_grad());
  CHECK(b.requires_grad());
  CHECK(largest_difference(a.value(), b.value()) < rounding);
  CHECK(largest_difference(frozen.logits(a).value(), trainable.logits(b).value()) < rounding);
}

TEST_CASE("f32 weights give what f64 weights give, to the precision of f32") {
  const auto sequences = tiny_sequences({9, 4});
  const Tensor single = hidden_of(llama_of(tiny_config(), Weights::frozen, DType::f32), sequences);
  CHECK(single.dtype() == DType::f32);
  // 2^-24 = 6e-8 a step, some tens of steps on normalised states of order 1.
  CHECK(largest_difference(single, hidden_of(tiny_llama(), sequences)) < 2e-5);
}

TEST_CASE("sequences packed together do not see each other") {
  const Llama model = tiny_llama();
  const auto sequences = tiny_sequences({6, 1, 11, 3});
  const Tensor together = hidden_of(model, sequences);
  std::int64_t row = 0;
  for (const auto& sequence : sequences) {
    const Tensor alone = hidden_of(model, {sequence});
    CHECK(largest_difference(together.slice(row, row + alone.rows()), alone) < rounding);
    row += alone.rows();
  }
}

TEST_CASE("a token changes nothing before it and everything after it") {
  const Llama model = tiny_llama();
  auto sequences = tiny_sequences({8});
  const Tensor before = hidden_of(model, sequences);
  sequences[0][5] = (sequences[0][5] + 1) % 23;
  const Tensor after = hidden_of(model, sequences);
  CHECK(largest_difference(before.slice(0, 5), after.slice(0, 5)) < rounding);
  for (std::int64_t i = 5; i < 8; ++i) CHECK(largest_difference(before.slice(i, i + 1), after.slice(i, i + 1)) > 1e-3);
}

TEST_CASE("one token alone is the first row of any sequence that starts with it") {
  const Llama model = tiny_llama();
  const auto sequences = tiny_sequences({6});
  const Tensor first = hidden_of(model, {{sequences[0][0]}});
  CHECK(first.shape() == csreft::Shape{1, 12});
  CHECK(largest_difference(first, hidden_of(model, sequences).slice(0, 1)) < rounding);
}

TEST_CASE("the order of tokens matters: positions are rotated in") {
  const Llama model = tiny_llama();
  const Tensor a = hidden_of(model, {{1, 2, 3}}), b = hidden_of(model, {{2, 1, 3}});
  CHECK(largest_difference(a.slice(2, 3), b.slice(2, 3)) > 1e-3);
}

TEST_CASE("rope_scaling divides low frequencies, keeps high ones, and blends in between") {
  const auto sequences = tiny_sequences({12});
  const auto hidden_with = [&](auto&& change) {
    auto config = tiny_config();
    change(config);
    return hidden_of(llama_of(config), sequences);
  };
  const auto scaled = [&](std::int64_t original) {
    return hidden_with([&](auto& config) {
      config.rope_scaling = csreft::Llama3Rope{
          .factor = 8, .low_freq_factor = 1, .high_freq_factor = 4, .original_max_position_embeddings = original};
    });
  };
  const Tensor plain = hidden_with([](auto&) {});
  const Tensor all_divided = hidden_with([](auto& config) { config.rope_factors = {8, 8, 8}; });
  CHECK(largest_difference(scaled(1 << 20), plain) < rounding);  // every pair turns more than 4 times
  CHECK(largest_difference(scaled(4), all_divided) < rounding);  // none turns once
  CHECK(largest_difference(scaled(16), plain) > 1e-3);           // the fastest pair turns 2.5 times
  CHECK(largest_difference(scaled(16), all_divided) > 1e-3);
}

TEST_CASE("rope_theta matters") {
  const auto sequences = tiny_sequences({12});
  auto config = tiny_config();
  const Tensor plain = hidden_of(llama_of(config), sequences);
  config.rope_theta = 100.0;
  CHECK(largest_difference(hidden_of(llama_of(config), sequences), plain) > 1e-3);
}

TEST_CASE("ids outside the vocabulary and sequences past the context are errors") {
  const Llama model = tiny_llama();
  const auto forward = [&](const std::vector<TokenIds>& sequences) {
    return error_text([&] { return hidden_of(model, sequences); });
  };
  CHECK(forward({{0, 22}}).empty());
  CHECK(contains(forward({{0, 23}}), "token id 23 lies outside the model's vocabulary of 23"));
  CHECK(contains(forward({{0}, {5, -1}}), "token id -1 lies outside"));
  CHECK(forward({TokenIds(40, 1)}).empty());
  CHECK(contains(forward({TokenIds(41, 1)}), "41 tokens"));
  CHECK(contains(forward({TokenIds(41, 1)}), "context of 40"));
  CHECK(contains(forward({{1}, {}}), "sequence 1 of the batch is empty"));
}

TEST_CASE("a checkpoint that lacks a weight, or has it in another shape, makes no model") {
  auto checkpoint = tiny_checkpoint(tiny_config());
  const auto make = [&] { return error_text([&] { return Llama(checkpoint).config().vocab_size; }); };
  CHECK(make().empty());
  checkpoint.shapes["model.norm.weight"] = {13};
  CHECK(contains(make(), "model.norm.weight"));
  checkpoint.shapes.erase("model.norm.weight");
  CHECK(contains(make(), "model.norm.weight is missing"));
}

TEST_CASE("a block offers its output: called once a layer, in order, and what it returns goes on") {
  const Llama model = tiny_llama();
  const auto batch = csreft::pack_tokens(tiny_sequences({4, 2}));
  std::vector<std::int64_t> called;
  csreft::Attachments points;
  points.block_output = [&](std::int64_t layer, const Variable& hidden) {
    called.push_back(layer);
    CHECK(hidden.shape() == csreft::Shape{6, 12});
    return layer == 2 ? csreft::scale(hidden, 0.0) : hidden;
  };
  CHECK(largest_element(model.forward(batch, points).value()) == 0.0);
  CHECK(called == std::vector<std::int64_t>{0, 1, 2});
}

TEST_CASE("a block's output is offered at the layers that are named alone, and the others are the same") {
  const Llama model = tiny_llama();
  const auto batch = csreft::pack_tokens(tiny_sequences({4, 2}));
  std::vector<std::int64_t> called;
  csreft::Attachments points;
  points.block_output = [&](std::int64_t layer, const Variable& hidden) {
    called.push_back(layer);
    return hidden;
  };
  const Tensor everywhere = model.forward(batch, points).value();
  for (const std::set<std::int64_t>& layers : {std::set<std::int64_t>{}, {1}, {0, 2}}) {
    called.clear();
    points.block_output_layers = layers;
    CHECK(largest_difference(model.forward(batch, points).value(), everywhere) < rounding);
    CHECK(std::set(called.begin(), called.end()) == layers);
  }
}

TEST_CASE("a block offers its linear layers with their inputs and outputs") {
  const Llama model = tiny_llama();
  const auto batch = csreft::pack_tokens(tiny_sequences({5}));
  std::vector<LinearSite> called;
  csreft::Attachments points;
  points.linear = [&](std::int64_t layer, LinearSite site, const Variable& x, const Variable& y) {
    if (layer == 1) called.push_back(site);
    const bool down = site == LinearSite::down_proj, o = site == LinearSite::o_proj;
    CHECK(x.shape() == csreft::Shape{5, down ? 20 : o ? 24 : 12});
    const bool kv = site == LinearSite::k_proj || site == LinearSite::v_proj;
    const bool wide = site == LinearSite::gate_proj || site == LinearSite::up_proj;
    CHECK(y.shape() == csreft::Shape{5, site == LinearSite::q_proj ? 24 : wide ? 20 : 12});
    CHECK((kv ? y.shape()[1] == 2 * 6 : true));
    return y;
  };
  const Tensor watched = model.forward(batch, points).value();
  CHECK(called.size() == 7);
  CHECK(std::set(called.begin(), called.end()).size() == 7);
  CHECK(largest_difference(watched, model.forward(batch).value()) == 0.0);

  points.linear = [](std::int64_t, LinearSite site, const Variable&, const Variable& y) {
    return site == LinearSite::o_proj || site == LinearSite::down_proj ? csreft::scale(y, 0.0) : y;
  };
  // Blocks that add nothing leave the embedding, normalised.
  const Variable embedding = model.embed(batch.ids);
  const auto norm = tiny_checkpoint(tiny_config()).tensor("model.norm.weight").to(DType::f64);
  CHECK(largest_difference(model.forward(batch, points).value(),
                           csreft::rms_norm(embedding, Variable(norm), 1e-5).value()) < rounding);
}

TEST_CASE("below the lowest trainable point nothing is recorded") {
  const Llama model = tiny_llama();
  const auto batch = csreft::pack_tokens(tiny_sequences({4}));
  const Variable shift = Variable::parameter(Tensor::zeros({12}, DType::f64));
  std::vector<bool> recorded;
  csreft::Attachments points;
  points.block_output = [&](std::int64_t layer, const Variable& hidden) {
    recorded.push_back(hidden.requires_grad());
    return layer == 1 ? csreft::add_row(hidden, shift) : hidden;
  };
  CHECK(model.forward(batch, points).requires_grad());
  CHECK(recorded == std::vector<bool>{false, false, true});
}

namespace {

// Gradients of the values and of the model's weights, after a step with and without checkpointing: the same bits, since
// the same functions run on the same numbers.
void check_checkpointing(const Llama& model, csreft::Attachments points, std::vector<Variable> parameters) {
  for (const Variable& v : values_of(model)) parameters.push_back(v);
  const TinyTask task = tiny_task();
  std::vector<std::vector<Tensor>> gradients;
  std::vector<double> losses;
  for (const bool on : {false, true}) {
    points.checkpointing = on;
    for (const Variable& p : parameters) p.clear_grad();
    const Variable loss = task_loss(model, task, points);
    losses.push_back(loss.value().item());
    csreft::backward(loss);
    auto& all = gradients.emplace_back();
    for (const Variable& p : parameters) all.push_back(p.grad());
  }
  CHECK(losses[0] == losses[1]);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    CAPTURE(i);
    REQUIRE(gradients[1][i].defined());
    CHECK(largest_element(gradients[0][i]) > 0.0);
    CHECK(largest_difference(gradients[0][i], gradients[1][i]) == 0.0);
  }
}

Variable random_parameter(csreft::Shape shape, std::uint64_t stream) {
  return Variable::parameter(csreft::random_normal(shape, 0.0, 0.3, 5, stream, DType::f64));
}

}  // namespace

TEST_CASE("checkpointing changes no gradient: of weights, of edits, and of what is attached to linear layers") {
  const Variable shift = random_parameter({12}, 1), A = random_parameter({2, 12}, 2), B = random_parameter({24, 2}, 3);
  csreft::Attachments points;
  points.block_output = [&](std::int64_t layer, const Variable& hidden) {
    return layer == 1 ? csreft::add_row(hidden, shift) : hidden;
  };
  points.block_output_layers = {1};
  points.linear = [&](std::int64_t, LinearSite site, const Variable& x, const Variable& y) {
    return site == LinearSite::q_proj ? csreft::add(y, csreft::linear(csreft::linear(x, A), B)) : y;
  };
  Llama frozen = tiny_llama(), trainable = tiny_llama(Weights::trainable);
  check_checkpointing(frozen, points, {shift, A, B});
  check_checkpointing(trainable, points, {shift, A, B});
  check_checkpointing(trainable, {}, {});
}

TEST_CASE("with checkpointing, a gate that is made after one block reaches the edits of later ones") {
  const Variable V = random_parameter({12, 12}, 1);
  Variable gate;
  csreft::Attachments points;
  points.block_output = [&](std::int64_t layer, const Variable& hidden) {
    if (layer == 0) gate = csreft::sigmoid(csreft::linear(Variable(hidden.value()), V));
    return csreft::mul(hidden, gate);
  };
  Llama model = tiny_llama();
  check_checkpointing(model, points, {V});
}

TEST_CASE("with checkpointing, a forward pass keeps a few rows of each block and nothing below the lowest edit") {
  auto config = tiny_config();
  config.n_layers = 8;
  Llama model = llama_of(config);
  const std::vector<std::int64_t> lengths{40, 40}, prompts{3, 3};
  const TinyTask task = random_task(lengths, prompts);
  const Variable shift = random_parameter({12}, 1);
  const auto kept_bytes = [&](bool on, std::int64_t edited) {
    csreft::Attachments points;
    points.checkpointing = on;
    points.block_output = [&](std::int64_t layer, const Variable& hidden) {
      return layer == edited ? csreft::add_row(hidden, shift) : hidden;
    };
    points.block_output_layers = {edited};
    const std::size_t before = csreft::host_memory().used;
    const Variable loss = task_loss(model, task, points);
    return csreft::host_memory().used - before;
  };
  const std::size_t row = 80 * 12 * sizeof(double);  // hidden states of all tokens
  CHECK(kept_bytes(false, 0) > 8 * 7 * row);
  CHECK(kept_bytes(true, 0) < 4 * 7 * row);
  CHECK(kept_bytes(true, 6) + 3 * row < kept_bytes(true, 0));
}

TEST_CASE("linear layers have names, and unknown names are refused with the known ones") {
  for (const auto name : {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}) {
    CHECK(csreft::to_string(csreft::parse_linear_site(name)) == name);
  }
  const auto text = error_text([] { return csreft::parse_linear_site("qproj"); });
  CHECK(contains(text, "'qproj'"));
  CHECK(contains(text, "q_proj, k_proj"));
}

TEST_CASE("a fingerprint tells models apart") {
  CHECK(tiny_llama().fingerprint() == tiny_llama(Weights::trainable).fingerprint());
  CHECK(tiny_llama(Weights::frozen, 1).fingerprint() != tiny_llama(Weights::frozen, 2).fingerprint());
  // Whichever matrix changes, as a merge of an adapter changes some.
  const auto checkpoint = tiny_checkpoint(tiny_config());
  const auto own = csreft::fingerprint(checkpoint);
  CHECK(Llama(checkpoint).fingerprint() == own);
  for (const char* name : {"model.layers.1.self_attn.q_proj.weight", "model.layers.2.mlp.down_proj.weight"}) {
    auto changed = checkpoint;
    changed.read = [&](const std::string& asked) {
      const Tensor value = checkpoint.read(asked);
      return asked == name ? csreft::ops::scale(value, 1.01) : value;
    };
    CHECK(csreft::fingerprint(changed) != own);
    // And whichever of its numbers.
    changed.read = [&](const std::string& asked) {
      const Tensor value = checkpoint.read(asked).clone();
      if (asked == name) value.span<float>().back() += 1.0F;
      return value;
    };
    CHECK(csreft::fingerprint(changed).text() != own.text());
    CHECK(csreft::fingerprint(changed).first_rows == own.first_rows);
  }
  // Of a checkpoint whose parameters are drawn on the device, too.
  auto there = checkpoint;
  there.read = [&](const std::string& asked) { return on_test_device(checkpoint.read(asked)); };
  CHECK(csreft::fingerprint(there) == own);
  // Drawn weights have none, which would cost a copy to the host.
  there.is_drawn = true;
  CHECK(Llama(there).fingerprint() == csreft::Fingerprint{});
}

TEST_CASE("a fingerprint is known again in the form of this version and in that of earlier ones") {
  const csreft::Fingerprint print{.whole = 0x0123456789abcdef, .first_rows = 0xfedcba9876543210};
  CHECK(print.text() == "xxh64:0123456789abcdef");
  CHECK(print.is("xxh64:0123456789abcdef"));
  CHECK(print.is("fedcba9876543210"));
  for (const char* other : {"0123456789abcdef", "xxh64:fedcba9876543210", "xxh64:", ""}) CHECK_FALSE(print.is(other));
  CHECK(csreft::is_of_first_rows("fedcba9876543210"));
  CHECK_FALSE(csreft::is_of_first_rows(print.text()));
}
