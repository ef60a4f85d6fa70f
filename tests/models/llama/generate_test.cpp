#include "models/llama/generate.h"

#include <algorithm>
#include <limits>

#include <doctest/doctest.h>

#include "tests/device.h"
#include "tests/error_text.h"
#include "tests/tiny_model.h"

namespace {

using csreft::generate;
using csreft::GenerationOptions;
using Sequences = std::vector<TokenIds>;

const csreft::Llama& model() {
  static const csreft::Llama llama(tiny_checkpoint(tiny_config()), csreft::Weights::frozen,
                                   {csreft::DType::f64, test_device()});
  return llama;
}

Sequences prompts_of_lengths(std::initializer_list<std::int64_t> lengths) {
  return random_sequences(std::vector<std::int64_t>(lengths), tiny_config().vocab_size, 6);
}

// n new tokens of sequence `stream` by whole forward passes, each drawn on the host.
TokenIds without_cache(TokenIds ids, std::int32_t n, const csreft::SamplingOptions& sampling, std::int32_t stream) {
  const csreft::NoGrad no_grad;
  TokenIds out;
  for (std::int32_t i = 0; i < n; ++i) {
    const auto hidden = model().forward(csreft::pack_tokens(Sequences{ids})).value();
    const csreft::Variable last(hidden.slice(hidden.rows() - 1, hidden.rows()));
    const csreft::Tensor logits = model().logits(last).value().to(csreft::Device{});
    const auto draws = csreft::draw_counts(TokenIds{stream}, i, {});
    const std::int32_t token = csreft::sample(logits, sampling, 0, draws).front();
    out.push_back(token);
    ids.push_back(token);
  }
  return out;
}

void check_batch_equals_single(const GenerationOptions& options) {
  const auto prompts = prompts_of_lengths({1, 9, 4, 17});
  const auto together = generate(model(), prompts, options);
  REQUIRE(together.size() == prompts.size());
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    CAPTURE(i);
    CHECK(generate(model(), Sequences{prompts[i]}, options, {}, {}, i).front() == together[i]);
  }
}

}  // namespace

TEST_CASE("generation is what whole forward passes give whose tokens the host draws") {
  const auto prompts = prompts_of_lengths({3, 8, 5, 1});
  for (const csreft::SamplingOptions& sampling :
       {csreft::SamplingOptions{}, csreft::SamplingOptions{.temperature = 1.5, .seed = 8},
        csreft::SamplingOptions{.temperature = 2, .top_k = 9, .top_p = 0.9, .seed = 9}}) {
    CAPTURE(sampling.temperature);
    GenerationOptions options{.max_new_tokens = 9, .stop_tokens = {}, .sampling = sampling};
    const auto free = generate(model(), prompts, options);
    options.stop_tokens = {free[0][4], free[2][2]};
    // Sequences end, and the rows of the others move.
    const auto stopped = generate(model(), prompts, options);
    CHECK(stopped != free);
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      CAPTURE(i);
      const TokenIds alone = without_cache(prompts[i], 9, sampling, static_cast<std::int32_t>(i));
      CHECK(free[i] == alone);
      CHECK(stopped[i] == TokenIds(alone.begin(), std::ranges::find_first_of(alone, options.stop_tokens)));
    }
  }
}

TEST_CASE("prompts of different lengths generate together what each does alone, sampled or not") {
  check_batch_equals_single({.max_new_tokens = 12, .stop_tokens = {}, .sampling = {}});
  check_batch_equals_single({.max_new_tokens = 12, .stop_tokens = {}, .sampling = {.temperature = 1, .seed = 3}});
  check_batch_equals_single({.max_new_tokens = 12,
                             .stop_tokens = {1, 2, 3, 4},
                             .sampling = {.temperature = 2, .top_k = 9, .top_p = 0.95, .seed = 4}});
}

TEST_CASE("a seed fixes what is sampled") {
  const auto prompts = prompts_of_lengths({4, 4});
  const auto with_seed = [&](std::uint64_t seed) {
    return generate(model(), prompts,
                    {.max_new_tokens = 20, .stop_tokens = {}, .sampling = {.temperature = 1, .seed = seed}});
  };
  CHECK(with_seed(1) == with_seed(1));
  CHECK(with_seed(1) != with_seed(2));
  // Equal prompts in one batch draw from streams of their own.
  const auto same = generate(model(), Sequences{prompts[0], prompts[0]},
                             {.max_new_tokens = 20, .stop_tokens = {}, .sampling = {.temperature = 1, .seed = 1}});
  CHECK(same[0] != same[1]);
}

TEST_CASE("a sequence ends before its first stop token, and the others go on") {
  const auto prompts = prompts_of_lengths({5, 6, 7});
  const GenerationOptions free{.max_new_tokens = 10, .stop_tokens = {}, .sampling = {.temperature = 1, .seed = 2}};
  const auto whole = generate(model(), prompts, free);
  auto stopping = free;
  stopping.stop_tokens = {whole[1][3]};
  const auto cut = generate(model(), prompts, stopping);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto stop = std::ranges::find(whole[i], stopping.stop_tokens[0]);
    CHECK(cut[i] == TokenIds(whole[i].begin(), stop));
  }
  CHECK(cut[1].size() <= 3);
}

TEST_CASE("a sequence that reaches the end of the context ends there") {
  const auto context = static_cast<std::size_t>(tiny_config().max_position_embeddings);
  const auto prompts = prompts_of_lengths({40, 38, 2});
  const auto out = generate(model(), prompts, {.max_new_tokens = 100, .stop_tokens = {}, .sampling = {}});
  // The last token is chosen from a full context, and is not read any more.
  for (std::size_t i = 0; i < prompts.size(); ++i) CHECK(prompts[i].size() + out[i].size() == context + 1);
  CHECK(contains(error_text([] { return generate(model(), prompts_of_lengths({41}), {}); }), "context of 40"));
}

TEST_CASE("each token is reported as it comes, and generation can be broken off") {
  const auto prompts = prompts_of_lengths({2, 3});
  const GenerationOptions options{.max_new_tokens = 5, .stop_tokens = {}, .sampling = {}};
  Sequences heard(2);
  const auto out = generate(model(), prompts, options, {}, [&](std::size_t s, std::int32_t token) {
    heard[s].push_back(token);
    return true;
  });
  CHECK(heard == out);
  int calls = 0;
  const auto broken = generate(model(), prompts, options, {}, [&](std::size_t, std::int32_t) { return ++calls < 3; });
  CHECK(calls == 3);
  CHECK(broken[0].size() + broken[1].size() == 3);
}

TEST_CASE("logits that are not finite end generation, in whichever step they come") {
  csreft::GenerationAttachments strange;
  strange.generated = [](std::span<const std::int32_t>) {
    csreft::Attachments points;
    points.linear = [](std::int64_t, csreft::LinearSite, const csreft::Variable&, const csreft::Variable& y) {
      return csreft::scale(y, std::numeric_limits<double>::infinity());
    };
    return points;
  };
  int heard = 0;
  const auto words = error_text([&] {
    return generate(model(), prompts_of_lengths({3}), {.max_new_tokens = 5, .stop_tokens = {}, .sampling = {}}, strange,
                    [&](std::size_t, std::int32_t) { return ++heard > 0; });
  });
  CHECK(contains(words, "not finite"));
  CHECK(heard == 1);
}

TEST_CASE("no prompts give nothing; an empty prompt and no new tokens are refused") {
  CHECK(generate(model(), {}, {}).empty());
  CHECK(!error_text([] { return generate(model(), Sequences{{}}, {}); }).empty());
  CHECK(contains(error_text([] {
                   return generate(model(), prompts_of_lengths({3}),
                                   {.max_new_tokens = 0, .stop_tokens = {}, .sampling = {}});
                 }),
                 "0 new tokens"));
}
