// Families in use: caches, batches, windows and training, beside the golden values of tests/golden/families.
#include <doctest/doctest.h>

#include "autograd/gradcheck.h"
#include "models/llama/decode_step.h"
#include "models/llama/families/family.h"
#include "models/llama/fingerprint.h"
#include "models/llama/generate.h"
#include "tests/compare.h"
#include "tests/device.h"
#include "tests/error_text.h"
#include "tests/golden_families.h"
#include "tests/source.h"
#include "tests/tiny_model.h"

using csreft::DType;
using csreft::Llama;
using csreft::LlamaConfig;
using csreft::Tensor;
using csreft::Variable;
using csreft::Weights;

namespace {

using Sequences = std::vector<TokenIds>;

// Two orders of the same sums in f64, on values of order 1.
constexpr double rounding = 1e-11;

std::vector<GoldenFamily> families() { return read_golden_families(source("tests/golden/families")); }

Llama load(const GoldenFamily& golden, Weights weights = Weights::frozen, DType dtype = DType::f64) {
  return Llama(golden.open(), weights, {dtype, test_device()});
}

Tensor hidden_of(const Llama& model, const std::vector<TokenIds>& sequences) {
  return model.forward(csreft::pack_tokens(sequences)).value().to(csreft::Device{});
}

LlamaConfig biased_config() {
  LlamaConfig config = tiny_config();
  config.biases = {.qkv = true, .o = true, .mlp = true};
  return config;
}

}  // namespace

TEST_CASE("each family is found by its names, another is refused with those that there are") {
  for (const auto* family : csreft::model_families()) {
    CHECK(&csreft::find_family(family->name) == family);
    CHECK(&csreft::family_of_model_type(family->name, "x") == family);
    if (!family->gguf_architecture.empty()) CHECK(&csreft::family_of_gguf(family->gguf_architecture, "x") == family);
  }
  for (const char* name : {"gemma3", "qwen3", "phi3", "mixtral", ""}) {
    CHECK(contains(
        error_text([&] { return &csreft::family_of_model_type(name, "config.json"); }),
        fmt::format("config.json: model_type is {}: expected a model of the families llama, mistral, qwen2", name)));
    CHECK(contains(
        error_text([&] { return &csreft::family_of_gguf(name, "a.gguf"); }),
        fmt::format("a.gguf: general.architecture is {}: expected a model of the families llama, qwen2", name)));
  }
}

TEST_CASE("frozen weights, in f32 and packed, give every family's values") {
  for (const auto& golden : families()) {
    CAPTURE(golden.name);
    const Llama model = load(golden, Weights::frozen, DType::f32);
    const Tensor hidden = model.forward(csreft::pack_tokens(Sequences{golden.ids})).value();
    const auto rows = csreft::gather_rows(Variable(hidden), csreft::index_tensor(golden.rows));
    const Tensor logits = model.logits(rows).value().to(csreft::Device{}).to(DType::f64);
    CHECK(largest_difference(logits, golden.logits) < 1e-4);  // f32 sums of two blocks
  }
}

// Dynamic rope turns by the longest sequence, which is another in a batch and in a cache: kept to the original context.
TEST_CASE("a cache, token by token, and a batch give what one pass over a sequence gives") {
  for (const auto& golden : families()) {
    CAPTURE(golden.name);
    const Llama model = load(golden);
    const auto n =
        std::min<std::size_t>(golden.ids.size(), static_cast<std::size_t>(model.config().max_position_embeddings));
    const TokenIds ids(golden.ids.begin(), golden.ids.begin() + static_cast<std::ptrdiff_t>(n));
    const Tensor whole = hidden_of(model, {ids});
    const auto rows = whole.rows();
    CHECK(largest_difference(hidden_of(model, {{3, 4, 5}, ids}).slice(3, 3 + rows), whole) < rounding);

    const csreft::NoGrad no_grad;
    csreft::KvCache cache(model.config(), 1, rows, model.cache_options());
    const std::vector<std::int32_t> slots{0};
    const Sequences prompt{TokenIds(ids.begin(), ids.end() - 4)};
    model.forward(cache.extend(slots, prompt), {}, &cache);
    csreft::DecodeStep step(model, cache, {}, slots, std::vector{ids[n - 4]}, {});
    TokenIds read(ids.begin(), ids.end() - 3);  // and what the steps draw
    std::vector<Tensor> logits;
    while (logits.size() < 4) {
      step.start();
      read.push_back(step.tokens()[0]);
      logits.push_back(step.logits().to(csreft::Device{}).clone());
    }
    read.pop_back();  // nothing reads the last
    const Tensor expected =
        model.logits(model.forward(csreft::pack_tokens(Sequences{read}))).value().to(csreft::Device{});
    for (std::int64_t taken = 0; taken < 4; ++taken) {
      const auto row = rows - 4 + taken;
      CHECK(largest_difference(logits[static_cast<std::size_t>(taken)], expected.slice(row, row + 1)) < rounding);
    }
  }
}

TEST_CASE("with a cache, dynamic rope turns by what the cache can hold, for prompt and tokens alike") {
  LlamaConfig config = tiny_config();
  config.max_position_embeddings = 8;
  config.rope_scaling = csreft::DynamicRope{.factor = 4};
  const Llama model(tiny_checkpoint(config), Weights::frozen, {DType::f64, test_device()});
  const TokenIds ids = random_sequences(std::vector<std::int64_t>{12}, config.vocab_size)[0];
  const csreft::NoGrad no_grad;
  csreft::KvCache cache(config, 1, 12, model.cache_options());
  const std::vector<std::int32_t> slots{0};
  const Tensor first =
      model.forward(cache.extend(slots, Sequences{TokenIds(ids.begin(), ids.begin() + 4)}), {}, &cache).value();
  const Tensor rest =
      model.forward(cache.extend(slots, Sequences{TokenIds(ids.begin() + 4, ids.end())}), {}, &cache).value();
  const Tensor whole = hidden_of(model, {ids});
  CHECK(largest_difference(first.to(csreft::Device{}), whole.slice(0, 4)) < rounding);
  CHECK(largest_difference(rest.to(csreft::Device{}), whole.slice(4, 12)) < rounding);
}

TEST_CASE("a sequence longer than the sliding window is refused, one as long is not") {
  LlamaConfig config = tiny_config();
  config.sliding_window = 8;
  const Llama model(tiny_checkpoint(config), Weights::frozen, {DType::f64, test_device()});
  CHECK(error_text([&] { return hidden_of(model, {TokenIds(8, 1)}); }).empty());
  const auto refusal = error_text([&] { return hidden_of(model, {TokenIds(9, 1)}); });
  CHECK(contains(refusal, "a sequence of 9 tokens or more exceeds the model's sliding window of 8"));
  CHECK(contains(refusal, "--max-length"));
  CHECK(contains(error_text([&] { return csreft::generate(model, Sequences{TokenIds(9, 1)}, {}); }), "window of 8"));
  csreft::GenerationOptions options;
  CHECK(csreft::generate(model, Sequences{TokenIds(5, 1)}, options)[0].size() == 4);  // the last is not read
}

TEST_CASE("a window is Mistral's, or Qwen2's where it is used") {
  const auto window = [](const nlohmann::json& change) {
    nlohmann::json config = families()[0].config;
    config.erase("architectures");
    config.merge_patch(change);
    return csreft::parse_llama_config(config, "config.json").sliding_window;
  };
  using Window = std::optional<std::int64_t>;
  CHECK(window({{"model_type", "llama"}, {"sliding_window", 8}}) == Window());
  CHECK(window({{"model_type", "mistral"}, {"sliding_window", 8}}) == Window(8));
  CHECK(window({{"model_type", "mistral"}}) == Window(4096));
  CHECK(window({{"model_type", "qwen2"}, {"sliding_window", 8}}) == Window());
  const nlohmann::json used{{"model_type", "qwen2"}, {"sliding_window", 8}, {"use_sliding_window", true}};
  const auto with = [&](const char* key, const nlohmann::json& value) {
    auto changed = used;
    changed[key] = value;
    return window(changed);
  };
  CHECK(window(used) == Window());  // from layer 28 on
  CHECK(with("max_window_layers", 2) == Window());
  CHECK(with("max_window_layers", 1) == Window(8));
  CHECK(with("layer_types", {"full_attention", "full_attention"}) == Window());
  CHECK(with("layer_types", {"full_attention", "sliding_attention"}) == Window(8));
}

TEST_CASE("the loss has right gradients for every weight and bias") {
  LlamaConfig config = biased_config();
  config.rope_scaling = csreft::YarnRope{.factor = 4, .attention_factor = 1.2, .original_max_position_embeddings = 8};
  const Llama model(tiny_checkpoint(config), Weights::trainable, {DType::f64, test_device()});
  const std::vector<std::int64_t> lengths{7, 2, 4}, prompts{3, 1, 2};
  const TinyTask task = random_task(lengths, prompts);
  std::vector<Variable> values;
  for (const auto& [name, value] : model.parameters()) values.push_back(value);
  CHECK(values.size() == csreft::parameter_shapes(config).size());
  const auto result = csreft::gradcheck([&] { return task_loss(model, task); }, values, {.sample = 4});
  CHECK_MESSAGE(result.passed, result.str());
}

TEST_CASE("biases count in the fingerprint") {
  const auto print = [](std::uint64_t seed) {
    auto checkpoint = tiny_checkpoint(biased_config());
    if (seed != 1) {
      const auto other = tiny_checkpoint(biased_config(), seed);
      checkpoint.read = [first = checkpoint.read, second = other.read](const std::string& name) {
        return name == "model.layers.1.mlp.up_proj.bias" ? second(name) : first(name);
      };
    }
    CHECK(Llama(checkpoint).fingerprint() == csreft::fingerprint(checkpoint));
    return csreft::fingerprint(checkpoint);
  };
  CHECK(print(1) == print(1));
  CHECK_FALSE(print(1) == print(2));
}
