// What a router takes from the training prompts: the statistics of its input, and where its weights start.
#include <algorithm>

#include <doctest/doctest.h>

#include "core/tensor/random.h"
#include "reft/router/norm.h"
#include "reft/router/starts/kmeans.h"
#include "reft/router/starts/principal_components.h"
#include "tests/error_text.h"
#include "tests/reft/router/router_tools.h"

using csreft::DType;
using csreft::Llama;
using csreft::Tensor;

TEST_CASE("a router that starts from clusters sends each prompt to the nearest centroid") {
  const Llama model = tiny_llama();
  // Two kinds of prompts, told apart by their words.
  std::vector<TokenIds> prompts;
  std::vector<std::int64_t> lengths;
  for (std::int32_t i = 0; i < 12; ++i) {
    prompts.push_back(i % 2 == 0 ? TokenIds{7, 1, 2, 1, 2, static_cast<std::int32_t>(1 + i % 3)}
                                 : TokenIds{7, 20, 21, 20, 21, static_cast<std::int32_t>(19 + i % 3)});
    lengths.push_back(6);
  }
  auto options = csreft_options("prompt_mean");
  options["subspaces"] = 2;
  options["gate"] = "top1";
  options["router_norm"] = true;
  options["router_start"] = "clusters";
  const TinyMethod method(options);
  method->prepare(prompts);
  const Tensor alpha = gates_of(method, make_task(prompts, lengths));
  for (std::int64_t e = 2; e < 12; ++e) CHECK(largest_difference(row_of(alpha, e), row_of(alpha, e % 2)) == 0.0);
  CHECK(largest_difference(row_of(alpha, 0), row_of(alpha, 1)) == 1.0);

  // The scores are the centroids' rule among the whitened components, exactly.
  const auto& input = csreft::find_router_input("prompt_mean");
  const Tensor x = csreft::standardise(method->buffers(), csreft::read_router_inputs(input, -1, model, prompts));
  const auto [components, mean] = csreft::principal_components(x, 4, 1);
  const Tensor z = csreft::ops::matmul(csreft::ops::add_row(x, csreft::ops::scale(mean, -1.0)), components,
                                       csreft::ops::Transpose::no, csreft::ops::Transpose::yes);
  const auto clusters = csreft::kmeans(z, 2, 1);
  const Tensor c = clusters.centroids;
  std::vector<csreft::Parameter> router;
  for (const auto& p : method->parameters()) {
    if (p.part == csreft::ParameterPart::router) router.push_back(p);
  }
  const Tensor scores = csreft::router_scores(x, router).value();
  double ratio = 0.0;
  for (std::int64_t e = 0; e < 12; ++e) {
    const Tensor from0 = csreft::ops::sub(row_of(z, e), row_of(c, 0)),
                 from1 = csreft::ops::sub(row_of(z, e), row_of(c, 1));
    const double lead = csreft::ops::squared_norm(from1) - csreft::ops::squared_norm(from0);
    const double scored = scores.data<double>()[e * 2] - scores.data<double>()[e * 2 + 1];
    if (e == 0) ratio = scored / lead;
    CHECK(scored == doctest::Approx(ratio * lead));
    CHECK(clusters.assignments[static_cast<std::size_t>(e)] == (lead > 0.0 ? 0 : 1));
  }
  CHECK(ratio > 0.0);
  options["router_hidden"] = 1;
  CHECK(contains(error_text([&] { TinyMethod made(options); }), "a width of at least 2"));
}

TEST_CASE("with fewer clusters than subspaces, no prompt goes to those left over") {
  // Two clouds, in turns.
  const Tensor x = csreft::random_normal({300, 40}, 0.0, 1.0, 3, 0, DType::f64);
  for (std::int64_t e = 0; e < 300; e += 2) x.data<double>()[e * 40] += 12.0;
  const auto router = csreft::make_router_parameters({40, 8, 4}, /*lr_scale=*/1.0, 1, 2, DType::f64);
  CHECK(csreft::find_router_start("clusters").set(router, x, 1) == 2);
  const Tensor scores = csreft::router_scores(x, router).value();
  for (std::int64_t e = 0; e < 300; ++e) {
    const double* row = scores.data<double>() + e * 4;
    CHECK((row[0] > row[1]) == (scores.data<double>()[e % 2 * 4] > scores.data<double>()[e % 2 * 4 + 1]));
    CHECK(std::max(row[0], row[1]) - std::max(row[2], row[3]) > 39.0);
  }
  CHECK((scores.data<double>()[0] > scores.data<double>()[1]) != (scores.data<double>()[4] > scores.data<double>()[5]));
}

TEST_CASE("router_norm gives the training prompts mean 0 and deviation 1 in every component") {
  const Llama model = tiny_llama();
  // More prompts than are read at once.
  std::vector<std::int64_t> lengths(70);
  for (std::size_t i = 0; i < lengths.size(); ++i) lengths[i] = 1 + static_cast<std::int64_t>(i % 6);
  const auto prompts = random_sequences(lengths, 23);
  auto norm = csreft::make_router_norm(12, DType::f64);
  const auto& input = csreft::find_router_input("prompt_mean");
  csreft::fit_router_norm(norm, csreft::read_router_inputs(input, -1, model, prompts));

  const TinyTask task = make_task(prompts, lengths);
  const Tensor x = csreft::standardise(norm, csreft::read_router_input(input, -1, model, task.batch, task.prompts));
  CHECK(largest_element(mean_row(x)) < rounding);
  CHECK(largest_difference(mean_row(csreft::ops::mul(x, x)), Tensor::full({1, 12}, 1.0, DType::f64)) < rounding);
}

TEST_CASE("router_norm starts as the identity and lets a constant component be") {
  const Llama model = tiny_llama();
  auto norm = csreft::make_router_norm(12, DType::f64);
  REQUIRE(norm.size() == 2);
  CHECK(norm[0].first == "router_norm.mean");
  CHECK(norm[1].first == "router_norm.scale");
  const Tensor x = embedding_of(model, {4, 5});
  CHECK(largest_difference(csreft::standardise(norm, x), x) == 0.0);
  const std::vector<TokenIds> prompts{{7, 1}, {7, 2}, {7, 3}};
  csreft::fit_router_norm(norm,
                          csreft::read_router_inputs(csreft::find_router_input("first_token"), -1, model, prompts));
  CHECK(largest_difference(norm[1].second, Tensor::full({12}, 1.0, DType::f64)) == 0.0);
  CHECK(largest_element(csreft::standardise(norm, embedding_of(model, {7}))) < rounding);
}

TEST_CASE("a method with router_norm keeps the statistics as buffers and reads through them") {
  const TinyTask task = shared_start();
  auto options = csreft_options("prompt_mean");
  const Tensor plain = gates_of(options, task);
  CHECK(TinyMethod(options)->buffers().empty());
  options["router_norm"] = true;
  const TinyMethod method(options);
  CHECK(method->buffers().size() == 2);
  CHECK(largest_difference(gates_of(method, task), plain) == 0.0);
  method->prepare(std::vector<TokenIds>{{7, 1, 2}, {7, 11, 4}, {7, 5}, {3, 9, 9, 1}});
  CHECK(largest_difference(gates_of(method, task), plain) > 1e-3);
}

TEST_CASE("prompts that look alike to the router get one gate, whatever it starts from") {
  const TinyTask task = shared_start();
  auto options = csreft_options("first_token");
  options["gate"] = "top1";
  options["router_norm"] = true;
  options["router_start"] = "clusters";
  const TinyMethod method(options);
  const std::string found = method->prepare(std::vector<TokenIds>{{7, 1, 2}, {7, 11, 4}, {7, 5}, {7, 9, 9, 1}});
  CHECK(contains(found, "cannot tell them apart"));
  const auto gates = routed(method, task);
  for (std::int64_t e = 1; e < 3; ++e) {
    CHECK(largest_difference(row_of(gates.alpha.value(), e), row_of(gates.alpha.value(), 0)) == 0.0);
  }
  CHECK(largest_difference(gates.probabilities.value(), Tensor::full({3, 3}, 1.0 / 3.0, DType::f64)) < rounding);
}

TEST_CASE("where gates are by token, norm and clusters are of the prompts' tokens, not of their means") {
  const Llama model = tiny_llama();
  const std::vector<TokenIds> prompts{{7, 1, 2, 9, 3}, {7, 11}, {7, 5, 5, 6}, {3, 9, 9, 1, 2, 2, 8}};
  auto options = csreft_options("hidden");
  options["gate"] = "softmax";
  options["gate_scope"] = "token";
  options["router_norm"] = true;
  const TinyMethod method(options);
  CHECK(method->prepare(prompts).empty());  // weights as drawn
  const Tensor x = csreft::standardise(method->buffers(), model.hidden_states(csreft::pack_tokens(prompts), 0));
  CHECK(x.rows() == 18);
  CHECK(largest_element(mean_row(x)) < rounding);
  CHECK(largest_difference(mean_row(csreft::ops::mul(x, x)), Tensor::full({1, 12}, 1.0, DType::f64)) < rounding);

  options["router_start"] = "clusters";
  const std::vector<TokenIds> alike(4, TokenIds{7});
  CHECK(contains(TinyMethod(options)->prepare(alike), "the router reads the same of every token"));
  // Two kinds of tokens, in every prompt: means of prompts would all be the same.
  const std::vector<TokenIds> mixed{{1, 20}, {1, 20}, {1, 20}, {1, 20}};
  const TinyMethod clustered(options);
  CHECK(contains(clustered->prepare(mixed), "the tokens fall into 2 clusters, so 2 of 3 subspaces are used"));
  const Tensor p = clustered->routing()->route(mixed, {}, {}).probabilities.value();
  REQUIRE(p.rows() == 8);
  const auto chosen = [&](std::int64_t row) {
    const Tensor one = row_of(p, row).clone();
    return std::ranges::max_element(one.span<double>()) - one.span<double>().begin();
  };
  for (std::int64_t e = 0; e < 4; ++e) CHECK(chosen(2 * e) != chosen(2 * e + 1));
}

TEST_CASE("of each prompt as many tokens are read as are asked for, evenly spread, or all that it has") {
  const Llama model = tiny_llama();
  const std::vector<TokenIds> prompts{{7}, {1, 2, 9, 3}, {5, 5, 6, 3, 1}};
  const Tensor states = model.hidden_states(csreft::pack_tokens(prompts), 1);
  const Tensor some = csreft::read_token_states(1, model, prompts, 2);
  const Tensor expected = csreft::ops::gather_rows(states, csreft::index_tensor(TokenIds{0, 1, 3, 5, 7}));
  CHECK(largest_difference(some, expected) == 0.0);
  CHECK(largest_difference(csreft::read_token_states(1, model, prompts, 9), states) == 0.0);
  CHECK(contains(error_text([&] { csreft::read_token_states(1, model, prompts, 0); }), "0 tokens of each prompt"));
  const auto stop = [](std::int64_t done, std::int64_t total) {
    CHECK(done == 3);
    CHECK(total == 3);
    return false;
  };
  CHECK(csreft::read_token_states(1, model, prompts, 2, stop).rows() == 5);
}

TEST_CASE("prompts are read in parts of 4096 tokens, or one prompt, whatever their number") {
  const Llama model = tiny_llama();
  const auto& input = csreft::find_router_input("prompt_mean");
  std::vector<TokenIds> prompts(20, TokenIds(300, 1));
  for (std::size_t i = 0; i < prompts.size(); ++i) prompts[i][0] = static_cast<std::int32_t>(2 + i);
  prompts.push_back(TokenIds(5000, 3));
  std::vector<std::int64_t> read;
  const Tensor x = csreft::read_router_inputs(input, -1, model, prompts, [&](std::int64_t done, std::int64_t total) {
    CHECK(total == 21);
    read.push_back(done);
    return true;
  });
  CHECK(read == std::vector<std::int64_t>{13, 20, 21});
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const Tensor alone = csreft::read_router_inputs(input, -1, model, std::span(prompts).subspan(i, 1));
    CHECK(largest_difference(row_of(x, static_cast<std::int64_t>(i)), alone) == 0.0);
  }
}
