// The recorded step against the forward of whole sequences, in f64, on the device of the tests.
#include "models/llama/decode_step.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "tests/compare.h"
#include "tests/device.h"
#include "tests/error_text.h"
#include "tests/tiny_model.h"

using csreft::DecodeStep;
using csreft::KvCache;
using csreft::Tensor;

namespace {

// Two orders of the same sums in f64, on values of order 1.
constexpr double rounding = 1e-12;
const csreft::Attachments nothing;  // outlives every step

const csreft::Llama& model() {
  static const csreft::Llama llama(tiny_checkpoint(tiny_config()), csreft::Weights::frozen,
                                   {csreft::DType::f64, test_device()});
  return llama;
}

// A cache that has read the prompts.
KvCache read_prompts(const std::vector<TokenIds>& prompts, std::int64_t capacity) {
  const csreft::NoGrad no_grad;
  KvCache cache(model().config(), static_cast<std::int64_t>(prompts.size()), capacity, model().options());
  std::vector<std::int32_t> slots;
  for (std::size_t s = 0; s < prompts.size(); ++s) slots.push_back(static_cast<std::int32_t>(s));
  static_cast<void>(model().forward(cache.extend(slots, prompts), {}, &cache));
  return cache;
}

Tensor last_logits(const TokenIds& ids) {
  const csreft::NoGrad no_grad;
  const auto hidden = model().forward(csreft::pack_tokens(std::vector<TokenIds>{ids})).value();
  return model().logits(csreft::Variable(hidden.slice(hidden.rows() - 1, hidden.rows()))).value().to(csreft::Device{});
}

Tensor row_of(const DecodeStep& step, std::size_t i) {
  const auto row = static_cast<std::int64_t>(i);
  return step.logits().slice(row, row + 1).to(csreft::Device{});
}

}  // namespace

TEST_CASE("a step gives the logits of whole sequences, at every length, and draws the largest") {
  std::vector<TokenIds> ids = random_sequences(std::vector<std::int64_t>{4, 1, 7}, tiny_config().vocab_size, 3);
  KvCache cache = read_prompts(ids, 16);
  const std::vector<std::int32_t> slots{2, 0};  // in another order, and not all
  std::vector<std::int32_t> tokens{0, 3};
  DecodeStep step(model(), cache, nothing, slots, tokens, {});
  for (int n = 0; n < 9; ++n) {
    CAPTURE(n);
    for (std::size_t i = 0; i < 2; ++i) ids[static_cast<std::size_t>(slots[i])].push_back(tokens[i]);
    step.start();
    tokens = step.tokens();
    REQUIRE(step.logits().shape() == csreft::Shape{2, 23});
    for (std::size_t i = 0; i < 2; ++i) {
      const Tensor expected = last_logits(ids[static_cast<std::size_t>(slots[i])]);
      CHECK(largest_difference(row_of(step, i), expected) < rounding);
      const auto logits = expected.span<double>();
      CHECK(tokens[i] == std::ranges::max_element(logits) - logits.begin());
    }
  }
  CHECK(cache.length(2) == 16);
  CHECK(cache.length(1) == 1);
  CHECK(contains(error_text([&] { return step.start(), 0; }), "do not fit the KV cache"));
}

TEST_CASE("a step draws from its logits what is drawn from them elsewhere, whoever has ended") {
  const std::vector<TokenIds> ids = random_sequences(std::vector<std::int64_t>{4, 1, 7}, tiny_config().vocab_size, 3);
  for (const csreft::SamplingOptions& sampling :
       {csreft::SamplingOptions{}, csreft::SamplingOptions{.temperature = 2, .seed = 5},
        csreft::SamplingOptions{.temperature = 1.5, .top_k = 7, .top_p = 0.9, .seed = 6}}) {
    KvCache cache = read_prompts(ids, 20);
    const std::vector<std::int32_t> slots{2, 0, 1};
    DecodeStep step(model(), cache, nothing, slots, std::vector<std::int32_t>{5, 6, 7},
                    {.sampling = sampling, .first_stream = 40, .drawn = 3});
    for (std::int32_t n = 0; n < 8; ++n) {
      CAPTURE(n);
      if (n == 4) step.end({false, true, false});
      step.start();
      const std::vector<std::int32_t> tokens = step.tokens();
      const auto expected =
          csreft::sample(step.logits().to(csreft::Device{}), sampling, 40, csreft::draw_counts(slots, 3 + n, {}));
      for (const std::size_t i : {0, 1, 2}) {
        if (i != 1 || n < 4) CHECK(tokens[i] == expected[i]);
      }
    }
  }
}

TEST_CASE("a sequence that has ended takes no room, and the others go on as if alone") {
  std::vector<TokenIds> ids = random_sequences(std::vector<std::int64_t>{6, 3, 5}, tiny_config().vocab_size, 4);
  KvCache cache = read_prompts(ids, 8);
  std::vector<std::int32_t> tokens{9, 4, 2};
  DecodeStep step(model(), cache, nothing, {0, 1, 2}, tokens, {});
  for (int n = 0; n < 5; ++n) {
    CAPTURE(n);
    if (n == 1) step.end({false, false, true});
    if (n == 2) step.end({true, false, false});  // full: what comes next in the cache is the next slot's
    ids[1].push_back(tokens[1]);
    step.start();
    tokens = step.tokens();
    CHECK(largest_difference(row_of(step, 1), last_logits(ids[1])) < rounding);
  }
  CHECK(cache.length(0) == 8);
  CHECK(cache.length(1) == 8);
  CHECK(cache.length(2) == 6);
  step.end({false, true, false});
  CHECK(contains(error_text([&] { return step.start(), 0; }), "all ended"));
}

TEST_CASE("a step edits what is attached to generated tokens") {
  const std::vector<TokenIds> ids = random_sequences(std::vector<std::int64_t>{3}, tiny_config().vocab_size, 5);
  KvCache plain = read_prompts(ids, 8), edited = read_prompts(ids, 8);
  csreft::Attachments twice;
  twice.linear = [](std::int64_t, csreft::LinearSite, const csreft::Variable&, const csreft::Variable& y) {
    return csreft::scale(y, 2.0);
  };
  const std::vector<std::int32_t> tokens{3};
  DecodeStep plain_step(model(), plain, nothing, {0}, tokens, {}), edited_step(model(), edited, twice, {0}, tokens, {});
  for (int n = 0; n < 3; ++n) {
    for (DecodeStep* step : {&plain_step, &edited_step}) {
      step->start();
      static_cast<void>(step->tokens());
    }
    CHECK(largest_difference(row_of(plain_step, 0), row_of(edited_step, 0)) > 1e-2);
  }
}

TEST_CASE("a step refuses tokens that are none, a slot without a prompt, and calls out of order") {
  const std::vector<TokenIds> ids = random_sequences(std::vector<std::int64_t>{3}, tiny_config().vocab_size, 5);
  KvCache cache = read_prompts(ids, 8), empty(model().config(), 1, 8, model().options());
  const auto refusal = [](KvCache& of, const std::vector<std::int32_t>& tokens) {
    return error_text([&] { return DecodeStep(model(), of, nothing, {0}, tokens, {}).slots().size(); });
  };
  CHECK(contains(refusal(cache, {23}), "vocabulary of 23"));
  CHECK(contains(refusal(cache, {-1}), "vocabulary of 23"));
  CHECK(contains(refusal(cache, {1, 2}), "2 token(s) for 1"));
  CHECK(contains(refusal(empty, {1}), "holds no token"));
  DecodeStep step(model(), cache, nothing, {0}, std::vector<std::int32_t>{1}, {});
  CHECK(contains(error_text([&] { return step.tokens(), 0; }), "no step has been started"));
  step.start();
  CHECK(contains(error_text([&] { return step.start(), 0; }), "before the tokens of the last"));
}
