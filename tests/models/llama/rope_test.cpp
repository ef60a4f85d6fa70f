// How a config's rotation is read, and the frequencies that it gives.
#include "models/llama/rope.h"

#include <cmath>
#include <limits>
#include <numbers>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "models/llama/llama_config.h"
#include "tests/error_text.h"

using csreft::check_config;
using csreft::LlamaConfig;
using csreft::rope_inverse_frequencies;

namespace {

nlohmann::json tiny_config() {
  return {{"model_type", "llama"},    {"vocab_size", 6},        {"hidden_size", 8},
          {"intermediate_size", 12},  {"num_hidden_layers", 2}, {"num_attention_heads", 2},
          {"num_key_value_heads", 1}, {"rms_norm_eps", 1e-5},   {"max_position_embeddings", 32}};
}

LlamaConfig parse(const nlohmann::json& config) { return csreft::parse_llama_config(config, "config.json"); }

// What is said of the tiny config with `key` changed.
std::string refusal(const std::string& key, const nlohmann::json& value) {
  auto config = tiny_config();
  config[key] = value;
  return error_text([&] { return parse(config); });
}

}  // namespace

TEST_CASE("inverse frequencies fall from 1 by powers of theta") {
  const auto frequencies = rope_inverse_frequencies(parse(tiny_config()));
  REQUIRE(frequencies.size() == 2);
  CHECK(frequencies[0] == 1);
  CHECK(frequencies[1] == doctest::Approx(0.01).epsilon(1e-14));
}

// Llama 3.1's constants: the fastest pairs stay, the slowest turn 8 times slower, one between is checked by hand.
TEST_CASE("Llama 3's rule slows the low frequencies") {
  auto json = tiny_config();
  json["hidden_size"] = 256;
  json["rope_theta"] = 500'000;
  auto scaling = nlohmann::json{{"rope_type", "llama3"},
                                {"factor", 8.0},
                                {"low_freq_factor", 1.0},
                                {"high_freq_factor", 4.0},
                                {"original_max_position_embeddings", 8192}};
  const auto plain = rope_inverse_frequencies(parse(json));
  json["rope_scaling"] = scaling;
  const auto scaled = rope_inverse_frequencies(parse(json));
  REQUIRE(scaled.size() == 64);
  CHECK(scaled[0] == plain[0]);
  CHECK(scaled[28] == plain[28]);
  CHECK(scaled[63] == plain[63] / 8);
  // Pair 30 turns 8192 * 500000^(-60/128) / (2 pi) times within the original context.
  const double turns = 8192 * std::pow(500'000.0, -60.0 / 128) / (2 * std::numbers::pi);
  REQUIRE((1 < turns && turns < 4));
  const double kept = (turns - 1) / 3;
  CHECK(scaled[30] == doctest::Approx(plain[30] * (kept + (1 - kept) / 8)).epsilon(1e-14));

  // The same in one object, as newer files have it.
  json.erase("rope_scaling");
  json.erase("rope_theta");
  scaling["rope_theta"] = 500'000;
  json["rope_parameters"] = scaling;
  CHECK(rope_inverse_frequencies(parse(json)) == scaled);
}

TEST_CASE("what a rope_scaling lacks, and kinds that are not built, are refused by name") {
  CHECK(refusal("rope_scaling", {{"rope_type", "default"}}).empty());
  CHECK(refusal("rope_scaling", nlohmann::json::object()).empty());
  for (const char* type : {"longrope", "su", "mrope", "proportional"}) {
    CHECK(contains(refusal("rope_scaling", {{"type", type}, {"factor", 2.0}}),
                   fmt::format("rope_scaling is of type {}: expected default, linear, dynamic, yarn or llama3", type)));
  }
  CHECK(contains(refusal("rope_scaling", {{"type", 3}}), "`type` is number: expected a string"));
  CHECK(contains(refusal("rope_scaling", {{"factor", 2.0}}), "has a key factor, but its `type` is missing"));
  CHECK(contains(refusal("rope_scaling", 2), "`rope_scaling` is number: expected an object or null"));
  CHECK(contains(refusal("rope_scaling", {{"type", "linear"}}), "`factor` is missing"));
  CHECK(contains(refusal("rope_scaling", {{"type", "linear"}, {"factor", 0}}), "factor is 0: expected a positive"));
  CHECK(contains(refusal("rope_scaling", {{"type", "dynamic"}, {"factor", "2"}}), "`factor` is string"));
  CHECK(contains(refusal("rope_scaling", {{"type", "dynamic"}, {"factor", -2}}), "factor is -2"));
  CHECK(contains(refusal("rope_scaling", {{"type", "yarn"}, {"factor", 2}, {"beta_fast", -1}}), "beta_fast is -1"));
  CHECK(contains(refusal("rope_scaling", {{"type", "yarn"}, {"factor", 2}, {"original_max_position_embeddings", 0}}),
                 "original_max_position_embeddings is 0: expected 1"));
  CHECK(contains(refusal("rope_scaling", {{"type", "yarn"}, {"factor", 2}, {"truncate", 1}}), "`truncate` is number"));
  CHECK(contains(refusal("rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}), "`low_freq_factor` is missing"));
  CHECK(contains(refusal("rope_scaling", {{"rope_type", "llama3"},
                                          {"factor", 8.0},
                                          {"low_freq_factor", 4.0},
                                          {"high_freq_factor", 4.0},
                                          {"original_max_position_embeddings", 64}}),
                 "high_freq_factor - low_freq_factor is 0"));
  const nlohmann::json own{{"rope_type", "default"}, {"rope_theta", 5.0}};
  CHECK(contains(refusal("rope_parameters", {{"full_attention", own}, {"sliding_attention", own}}),
                 "rope_parameters gives full_attention a rotation of its own"));
  CHECK(contains(refusal("rope_parameters", {{"rope_theta", 5.0}, {"partial_rotary_factor", 0.25}}),
                 "partial_rotary_factor is 0.25"));
}

TEST_CASE("theta is read wherever a file has it; beside the scaling it counts before one at the top") {
  const auto theta = [](const nlohmann::json& change) {
    auto json = tiny_config();
    json.merge_patch(change);
    return parse(json).rope_theta;
  };
  const nlohmann::json linear{{"rope_type", "linear"}, {"factor", 2.0}, {"rope_theta", 7.0}};
  CHECK(theta(nlohmann::json::object()) == 10'000);
  CHECK(theta({{"rope_theta", 5.0}}) == 5);
  CHECK(theta({{"rope_parameters", {{"rope_theta", 6.0}}}}) == 6);
  CHECK(theta({{"rope_theta", 5.0}, {"rope_parameters", {{"rope_type", "default"}}}}) == 5);
  CHECK(theta({{"rope_theta", 5.0}, {"rope_parameters", linear}}) == 7);
  CHECK(theta({{"rope_theta", 5.0}, {"rope_scaling", linear}}) == 7);
  CHECK(theta({{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}}, {"rope_parameters", {{"rope_theta", 6.0}}}}) ==
        6);
}

TEST_CASE("dynamic rope is plain within the context, and raises theta for a longer sequence") {
  auto config = parse(tiny_config());
  const auto plain = rope_inverse_frequencies(config);
  config.rope_scaling = csreft::DynamicRope{.factor = 2};
  CHECK(rope_inverse_frequencies(config) == plain);
  CHECK(rope_inverse_frequencies(config, config.max_position_embeddings) == plain);
  // Twice the context of 32: theta * (2 * 2 - 1)^(4 / 2).
  const auto longer = rope_inverse_frequencies(config, 64);
  CHECK(longer[0] == 1);
  CHECK(longer[1] == doctest::Approx(1 / std::sqrt(10'000.0 * 9)).epsilon(1e-14));
}

TEST_CASE("YaRN keeps fast pairs, divides slow ones, and scales attention") {
  auto json = tiny_config();
  json["hidden_size"] = 256;  // heads of 128
  const auto plain = rope_inverse_frequencies(parse(json));
  json["rope_scaling"] = {{"type", "yarn"}, {"factor", 8.0}, {"original_max_position_embeddings", 4096}};
  const auto config = parse(json);
  const auto scaled = rope_inverse_frequencies(config);
  // Pair 128 ln(4096 / (64 pi)) / (2 ln 10000) = 20.9... turns 32 times, pair 45.03... once: 20 and 46 after rounding.
  CHECK(scaled[20] == plain[20]);
  CHECK(scaled[21] < plain[21]);
  CHECK(scaled[33] == doctest::Approx(plain[33] * (0.5 / 8 + 0.5)).epsilon(1e-14));
  CHECK(scaled[46] == doctest::Approx(plain[46] / 8).epsilon(1e-14));
  CHECK(rope_attention_factor(config) == doctest::Approx(0.1 * std::log(8.0) + 1).epsilon(1e-14));
  CHECK(csreft::yarn_attention_factor(0.5) == 1);
}

TEST_CASE("the context is what the rotation is scaled to, at most the sliding window") {
  auto config = parse(tiny_config());
  CHECK(context_length(config) == 32);
  CHECK(csreft::context_text(config) == "the model's context of 32");
  config.rope_scaling = csreft::LinearRope{.factor = 4};
  CHECK(context_length(config) == 128);
  config.rope_scaling = csreft::YarnRope{.factor = 4, .original_max_position_embeddings = 16};
  CHECK(context_length(config) == 64);
  config.rope_scaling = csreft::DynamicRope{.factor = 0.5};
  CHECK(context_length(config) == 32);
  config.rope_scaling = csreft::DynamicRope{.factor = 1e300};
  CHECK(context_length(config) == std::numeric_limits<std::int32_t>::max());
  config.sliding_window = 20;
  CHECK(context_length(config) == 20);
  CHECK(contains(csreft::context_text(config), "the model's sliding window of 20"));
}

TEST_CASE("constants that give no finite frequency are refused") {
  CHECK(contains(refusal("rope_scaling", {{"type", "linear"}, {"factor", 1e-320}}), "frequency of inf"));
  auto json = tiny_config();
  json["rope_theta"] = 1.0;
  json["rope_scaling"] = {{"type", "yarn"}, {"factor", 2}};
  CHECK(contains(error_text([&] { return parse(json); }), "rope_theta is 1: expected more than 1 with yarn"));
}

TEST_CASE("rope factors divide the frequencies, one for each pair") {
  auto config = parse(tiny_config());
  config.rope_factors = {1, 4};
  CHECK(rope_inverse_frequencies(config)[1] == doctest::Approx(0.0025).epsilon(1e-14));
  config.rope_factors = {1, 2, 3};
  CHECK(contains(error_text([&] {
                   check_config(config, "x");
                   return 0;
                 }),
                 "3 rope factors for a head dimension of 4"));
}
