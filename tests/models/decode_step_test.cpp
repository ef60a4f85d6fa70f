// The recorded step against the forward of whole sequences, in f64, on the device of the tests.
#include "models/decode_step.h"

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
constexpr std::int32_t ended = DecodeStep::no_token;
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

void check_row(const Tensor& logits, std::int64_t row, const TokenIds& ids) {
  CHECK(largest_difference(logits.slice(row, row + 1), last_logits(ids)) < rounding);
}

}  // namespace

TEST_CASE("a step gives the logits of whole sequences, at every length") {
  std::vector<TokenIds> ids = random_sequences(std::vector<std::int64_t>{4, 1, 7}, tiny_config().vocab_size, 3);
  KvCache cache = read_prompts(ids, 16);
  const std::vector<std::int32_t> slots{2, 0};  // in another order, and not all
  DecodeStep step(model(), cache, slots, nothing);
  for (std::int32_t n = 0; n < 9; ++n) {
    CAPTURE(n);
    const std::vector<std::int32_t> tokens{n, (5 * n + 3) % 23};
    for (std::size_t i = 0; i < slots.size(); ++i) ids[static_cast<std::size_t>(slots[i])].push_back(tokens[i]);
    const Tensor logits = step(tokens).to(csreft::Device{});
    REQUIRE(logits.shape() == csreft::Shape{2, 23});
    for (std::int64_t i = 0; i < 2; ++i)
      check_row(logits, i, ids[static_cast<std::size_t>(slots[static_cast<std::size_t>(i)])]);
  }
  CHECK(cache.length(2) == 16);
  CHECK(cache.length(1) == 1);
  CHECK(contains(error_text([&] { return step(std::vector<std::int32_t>{1, 1}); }), "do not fit the KV cache"));
}

TEST_CASE("a sequence that has ended takes no room, and the others go on as if alone") {
  std::vector<TokenIds> ids = random_sequences(std::vector<std::int64_t>{3, 5}, tiny_config().vocab_size, 4);
  KvCache cache = read_prompts(ids, 8);
  DecodeStep step(model(), cache, {0, 1}, nothing);
  for (const auto& tokens : std::vector<std::vector<std::int32_t>>{{4, 9}, {2, ended}, {7, ended}, {1, ended}}) {
    ids[0].push_back(tokens[0]);
    const Tensor logits = step(tokens).to(csreft::Device{});
    check_row(logits, 0, ids[0]);
  }
  CHECK(cache.length(0) == 7);
  CHECK(cache.length(1) == 6);
}

TEST_CASE("a step edits what is attached to generated tokens") {
  const std::vector<TokenIds> ids = random_sequences(std::vector<std::int64_t>{3}, tiny_config().vocab_size, 5);
  KvCache plain = read_prompts(ids, 8), edited = read_prompts(ids, 8);
  csreft::Attachments twice;
  twice.linear = [](std::int64_t, csreft::LinearSite, const csreft::Variable&, const csreft::Variable& y) {
    return csreft::scale(y, 2.0);
  };
  DecodeStep plain_step(model(), plain, {0}, nothing), edited_step(model(), edited, {0}, twice);
  for (const std::int32_t token : {3, 8, 11}) {
    const std::vector<std::int32_t> tokens{token};
    const Tensor a = plain_step(tokens).to(csreft::Device{}), b = edited_step(tokens).to(csreft::Device{});
    CHECK(largest_difference(a, b) > 1e-2);
  }
}

TEST_CASE("a step refuses tokens that are none, and a slot without a prompt") {
  const std::vector<TokenIds> ids = random_sequences(std::vector<std::int64_t>{3}, tiny_config().vocab_size, 5);
  KvCache cache = read_prompts(ids, 8);
  DecodeStep step(model(), cache, {0}, nothing);
  CHECK(contains(error_text([&] { return step(std::vector<std::int32_t>{23}); }), "vocabulary of 23"));
  CHECK(contains(error_text([&] { return step(std::vector<std::int32_t>{1, 2}); }), "2 token(s) for 1"));
  KvCache empty(model().config(), 1, 8, model().options());
  CHECK(
      contains(error_text([&] { return DecodeStep(model(), empty, {0}, nothing).slots().size(); }), "holds no token"));
}
