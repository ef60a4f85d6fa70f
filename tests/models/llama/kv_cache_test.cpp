// Decoding with a KV cache against the forward of whole sequences, in f64.
#include "models/llama/kv_cache.h"

#include <doctest/doctest.h>

#include "tests/compare.h"
#include "tests/error_text.h"
#include "tests/tiny_model.h"

using csreft::DType;
using csreft::KvCache;
using csreft::Tensor;

namespace {

// Two orders of the same sums in f64, on values of order 1.
constexpr double rounding = 1e-12;

using Slots = std::vector<std::int32_t>;

TokenIds part(const TokenIds& ids, std::ptrdiff_t begin, std::ptrdiff_t end) {
  return {ids.begin() + begin, ids.begin() + end};
}

std::vector<TokenIds> tiny_sequences(std::initializer_list<std::int64_t> lengths) {
  return random_sequences(std::span(lengths.begin(), lengths.size()), tiny_config().vocab_size);
}

struct Decoder {
  const csreft::Llama& model;
  KvCache cache;

  Tensor operator()(const Slots& slots, const std::vector<TokenIds>& tokens) {
    const csreft::NoGrad no_grad;
    return model.forward(cache.extend(slots, tokens), {}, &cache).value();
  }
};

Tensor whole(const csreft::Llama& model, const TokenIds& ids) {
  return model.forward(csreft::pack_tokens(std::vector<TokenIds>{ids})).value();
}

}  // namespace

TEST_CASE("a prefill and then one token at a time give what the whole sequence gives") {
  const auto model = tiny_llama();
  const TokenIds ids = tiny_sequences({9})[0];
  const Tensor expected = whole(model, ids);
  Decoder decode{model, KvCache(model.config(), 1, 9, DType::f64)};
  CHECK(largest_difference(decode({0}, {part(ids, 0, 4)}), expected.slice(0, 4)) < rounding);
  for (std::int64_t i = 4; i < 9; ++i) {
    CHECK(largest_difference(decode({0}, {part(ids, i, i + 1)}), expected.slice(i, i + 1)) < rounding);
  }
  CHECK(decode.cache.length(0) == 9);
}

TEST_CASE("sequences of a cache advance independently, several tokens at once, in any order of slots") {
  const auto model = tiny_llama();
  const auto ids = tiny_sequences({10, 7, 5});
  std::vector<Tensor> expected;
  for (const auto& sequence : ids) expected.push_back(whole(model, sequence));
  Decoder decode{model, KvCache(model.config(), 3, 12, DType::f64)};

  // Slots 2, 0, 1 hold sequences 0, 1, 2.
  const Tensor first = decode({2, 0, 1}, {part(ids[0], 0, 3), part(ids[1], 0, 1), part(ids[2], 0, 2)});
  CHECK(largest_difference(first.slice(0, 3), expected[0].slice(0, 3)) < rounding);
  CHECK(largest_difference(first.slice(3, 4), expected[1].slice(0, 1)) < rounding);
  CHECK(largest_difference(first.slice(4, 6), expected[2].slice(0, 2)) < rounding);

  const Tensor second = decode({1, 2}, {part(ids[2], 2, 5), part(ids[0], 3, 4)});
  CHECK(largest_difference(second.slice(0, 3), expected[2].slice(2, 5)) < rounding);
  CHECK(largest_difference(second.slice(3, 4), expected[0].slice(3, 4)) < rounding);

  const Tensor third = decode({0, 2}, {part(ids[1], 1, 7), part(ids[0], 4, 10)});
  CHECK(largest_difference(third.slice(0, 6), expected[1].slice(1, 7)) < rounding);
  CHECK(largest_difference(third.slice(6, 12), expected[0].slice(4, 10)) < rounding);

  CHECK(decode.cache.length(0) == 7);
  CHECK(decode.cache.length(1) == 5);
  CHECK(decode.cache.length(2) == 10);
}

TEST_CASE("a batch of a cache has positions and rows after what its slots hold") {
  KvCache cache(tiny_config(), 2, 5, DType::f64);
  const auto first = cache.extend(Slots{0, 1}, std::vector<TokenIds>{{7, 8}, {9}});
  const auto check = [](const Tensor& got, const TokenIds& expected) {
    const auto span = got.span<std::int32_t>();
    CHECK(TokenIds(span.begin(), span.end()) == expected);
  };
  check(first.positions, {0, 1, 0});
  check(first.cache_rows.entries(), {0, 1, 5});
  CHECK_FALSE(first.reads_cache);  // there is nothing in it yet
  const auto second = cache.extend(Slots{1, 0}, std::vector<TokenIds>{{4, 5}, {6}});
  check(second.ids, {4, 5, 6});
  check(second.positions, {1, 2, 2});
  check(second.cache_rows.entries(), {6, 7, 2});
  CHECK(second.reads_cache);
  check(second.layout.q_offsets, {0, 2, 3});
  check(second.layout.k_starts, {5, 0});
  check(second.layout.k_lengths, {3, 3});
}

TEST_CASE("a sequence that outgrows its cache is an error that leaves the cache as it was") {
  KvCache cache(tiny_config(), 2, 4, DType::f64);
  cache.extend(Slots{0}, std::vector<TokenIds>{{1, 2}});
  const auto extend = [&](const Slots& slots, const std::vector<TokenIds>& tokens) {
    return error_text([&] { return cache.extend(slots, tokens); });
  };
  CHECK(contains(extend({1, 0}, {{1, 2}, {3, 4, 5}}), "5 tokens do not fit the KV cache, which was made for 4"));
  CHECK(cache.length(0) == 2);
  CHECK(cache.length(1) == 0);
  CHECK(extend({1, 0}, {{1, 2}, {3, 4}}).empty());
  CHECK(cache.length(0) == 4);
  CHECK(cache.length(1) == 2);
}

TEST_CASE("slots that a cache lacks, that are named twice, or that do not match the sequences are errors") {
  KvCache cache(tiny_config(), 2, 4, DType::f64);
  const auto extend = [&](const Slots& slots, const std::vector<TokenIds>& tokens) {
    return error_text([&] { return cache.extend(slots, tokens); });
  };
  CHECK(contains(extend({2}, {{1}}), "slot 2"));
  CHECK(contains(extend({-1}, {{1}}), "slot -1"));
  CHECK(contains(extend({1, 1}, {{1}, {2}}), "slot 1"));
  CHECK(contains(extend({0, 1}, {{1}}), "1 sequence"));
  CHECK(contains(extend({0}, {{}}), "empty"));
  CHECK(contains(error_text([] { return KvCache(tiny_config(), 0, 4).length(0); }), "at least one token"));
}

TEST_CASE("training through a cache is an error: keys and values in it have no gradient") {
  const auto model = tiny_llama(csreft::Weights::trainable);
  KvCache cache(model.config(), 1, 4, DType::f64);
  const auto batch = cache.extend(Slots{0}, std::vector<TokenIds>{{1, 2}});
  CHECK(contains(error_text([&] { return model.forward(batch, {}, &cache); }), "NoGrad"));
}
