#include "reft/adapters/peft_config.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/error_text.h"
#include "tests/reft/adapters/lora_tools.h"
#include "tests/tiny_model.h"

using csreft::is_target;
using csreft::parse_peft_config;
using csreft::PeftConfig;
using nlohmann::json;

namespace {

json plain() { return {{"peft_type", "LORA"}, {"r", 4}, {"lora_alpha", 16}, {"target_modules", {"q_proj", "v_proj"}}}; }

PeftConfig parse(const json& changes = json::object()) {
  json config = plain();
  config.update(changes);
  return parse_peft_config(config.dump(), "adapter_config.json");
}

std::string refusal(const json& changes) {
  return error_text([&] { return parse(changes); });
}

const std::string q3 = "model.layers.3.self_attn.q_proj", up13 = "model.layers.13.mlp.up_proj";

}  // namespace

TEST_CASE("a config is read, with peft's defaults where keys are absent") {
  const auto config = parse();
  CHECK(config.rank == 4);
  CHECK(config.alpha == 16);
  CHECK_FALSE(config.use_rslora);
  CHECK(config.dropout == 0);
  CHECK(config.base_model.empty());
  const auto full = parse({{"use_rslora", true},
                           {"lora_dropout", 0.1},
                           {"base_model_name_or_path", "m"},
                           {"task_type", "CAUSAL_LM"},
                           {"bias", "none"},
                           {"use_dora", false},
                           {"qalora_group_size", 16},
                           {"megatron_core", "megatron.core"},
                           {"loftq_config", json::object()},
                           {"init_lora_weights", "gaussian"},
                           {"peft_version", "0.21.2"},
                           {"of_a_later_version", nullptr}});
  CHECK(full.use_rslora);
  CHECK(full.dropout == 0.1);
  CHECK(full.base_model == "m");
}

TEST_CASE("targets as a list are names or ends of names, whole words between dots") {
  CHECK(is_target(parse(), q3));
  CHECK_FALSE(is_target(parse(), up13));
  CHECK_FALSE(is_target(parse({{"target_modules", {"proj"}}}), q3));
  CHECK(is_target(parse({{"target_modules", {"layers.13.mlp.up_proj"}}}), up13));
  CHECK_FALSE(is_target(parse({{"target_modules", {"3.mlp.up_proj"}}}), up13));
  CHECK(is_target(parse({{"target_modules", {up13}}}), up13));
}

TEST_CASE("targets as one text are a regular expression for the whole name, or all-linear") {
  CHECK(is_target(parse({{"target_modules", R"(.*\.(q|k)_proj)"}}), q3));
  CHECK_FALSE(is_target(parse({{"target_modules", "q_proj"}}), q3));
  CHECK_FALSE(is_target(parse({{"target_modules", R"(.*\.q)"}}), q3));
  const auto all = parse({{"target_modules", "All-Linear"}});
  CHECK(is_target(all, q3));
  CHECK(is_target(all, up13));
  CHECK_FALSE(is_target(all, "lm_head"));
}

TEST_CASE("layers and excluded modules narrow the targets") {
  const json both{{"target_modules", {"q_proj", "up_proj"}}};
  const auto narrowed = [&](json changes) {
    changes.update(both);
    return parse(changes);
  };
  CHECK(is_target(narrowed({{"layers_to_transform", {1, 3}}}), q3));
  CHECK_FALSE(is_target(narrowed({{"layers_to_transform", {1, 3}}}), up13));
  CHECK(is_target(narrowed({{"layers_to_transform", 13}}), up13));
  CHECK(is_target(narrowed({{"layers_to_transform", json::array()}}), up13));
  CHECK(is_target(narrowed({{"layers_to_transform", 3}, {"layers_pattern", "layers"}}), q3));
  CHECK_FALSE(is_target(narrowed({{"layers_to_transform", 3}, {"layers_pattern", "blocks"}}), q3));
  CHECK(is_target(narrowed({{"layers_to_transform", 3}, {"layers_pattern", {"h", "layers|blocks"}}}), q3));
  // peft looks at the layers of ends of names only.
  CHECK(is_target(parse({{"target_modules", {q3}}, {"layers_to_transform", 5}}), q3));
  CHECK_FALSE(is_target(narrowed({{"exclude_modules", {"q_proj"}}}), q3));
  CHECK_FALSE(is_target(narrowed({{"exclude_modules", R"(.*\.3\..*)"}}), q3));
  CHECK(is_target(narrowed({{"exclude_modules", R"(.*\.3\..*)"}}), up13));
}

TEST_CASE("the first pattern that matches the end of a name gives rank and alpha") {
  const auto config =
      parse_peft_config(R"({"peft_type": "LORA", "r": 4, "lora_alpha": 16, "target_modules": "all-linear",
    "rank_pattern": {"q_proj": 8, "layers.3.self_attn.q_proj": 9, "^model.layers.1\\d.*": 2},
    "alpha_pattern": {"mlp\\.(up|down)_proj": 1.5}})",
                        "c");
  CHECK(rank_of(config, q3) == 8);
  CHECK(rank_of(config, up13) == 2);
  CHECK(rank_of(config, "model.layers.2.mlp.up_proj") == 4);
  CHECK(rank_of(config, "model.layers.2.self_attn.fq_proj") == 4);
  CHECK(alpha_of(config, up13) == 1.5);
  CHECK(alpha_of(config, q3) == 16);
}

TEST_CASE("what is not LoRA of linear layers alone is refused by its name") {
  CHECK(contains(refusal({{"peft_type", "IA3"}}), "peft_type is IA3: expected LORA"));
  CHECK(contains(refusal({{"bias", "lora_only"}}), "bias is lora_only"));
  CHECK(contains(refusal({{"use_dora", true}}), "that is, DoRA"));
  CHECK(contains(refusal({{"use_qalora", true}}), "that is, QALoRA"));
  CHECK(contains(refusal({{"lora_bias", true}}), "a bias in B"));
  CHECK(contains(refusal({{"modules_to_save", {"lm_head"}}}), "[\"lm_head\"], that is, whole modules trained"));
  CHECK(contains(refusal({{"trainable_token_indices", {1}}}), "trained token embeddings"));
  CHECK(contains(refusal({{"target_parameters", {"w"}}}), "bare parameters"));
  CHECK(contains(refusal({{"layer_replication", {{0, 1}}}}), "replicated layers"));
  CHECK(contains(refusal({{"alora_invocation_tokens", {1}}}), "activated LoRA"));
  CHECK(contains(refusal({{"of_a_later_version", 0.5}}), "`of_a_later_version` is 0.5, which is not known here"));
  CHECK(contains(refusal({{"init_lora_weights", "pissa_niter_4"}}), "pissa_niter_4, which may change the base model"));
}

TEST_CASE("bad configs are refused, naming the key") {
  CHECK(contains(error_text([] { return parse_peft_config("{", "x.json"); }), "x.json is not valid JSON"));
  CHECK(contains(error_text([] { return parse_peft_config("{}", "x.json"); }), "`peft_type` is missing"));
  CHECK(contains(error_text([] { return parse_peft_config(R"({"fine_tune_type": "lora"})", "x.json"); }),
                 "an adapter of mlx-lm"));
  CHECK(contains(refusal({{"r", nullptr}}), "`r` is missing"));
  CHECK(contains(refusal({{"r", 0}}), "a rank is 0: expected 1 or more"));
  CHECK(contains(refusal({{"r", 1.5}}), "`r` is number: expected an integer"));
  CHECK(contains(refusal({{"lora_alpha", "x"}}), "`lora_alpha` is string"));
  CHECK(contains(refusal({{"lora_dropout", 1}}), "lora_dropout is 1"));
  CHECK(contains(refusal({{"target_modules", nullptr}}), "`target_modules` is missing or empty"));
  CHECK(contains(refusal({{"target_modules", 3}}), "`target_modules` is number"));
  CHECK(contains(refusal({{"target_modules", {1}}}), "`target_modules` holds 1"));
  CHECK(contains(refusal({{"layers_to_transform", {-1}}}), "`layers_to_transform` is [-1]"));
  CHECK(contains(refusal({{"layers_to_transform", "all"}}), "`layers_to_transform` is \"all\""));
  CHECK(contains(refusal({{"layers_pattern", "layers"}}), "layers_pattern without layers_to_transform"));
  CHECK(contains(refusal({{"layers_to_transform", {1}}, {"target_modules", ".*"}}), "beside target_modules as one"));
  CHECK(contains(refusal({{"rank_pattern", {1}}}), "`rank_pattern` is array"));
  CHECK(contains(refusal({{"rank_pattern", {{"q_proj", 0}}}}), "a rank is 0"));
  CHECK(contains(refusal({{"rank_pattern", {{"q_proj", "x"}}}}), "`rank_pattern`: `q_proj` is string"));
  CHECK(contains(refusal({{"alpha_pattern", {{"q_proj", nullptr}}}}), "`alpha_pattern`: `q_proj` is missing"));
  const auto broken = parse({{"target_modules", "(q"}});
  CHECK(contains(error_text([&] { return is_target(broken, q3); }), "the pattern (q does not compile"));
}

TEST_CASE("a written config names ends and layers where modules form a grid, else whole names") {
  using enum csreft::LinearSite;
  const auto model = tiny_config();
  const auto grid = peft_config_json(random_lora(model, {{0, q_proj, 4, 8}, {0, up_proj, 4, 8}}, 4, 8), 3);
  CHECK(grid["target_modules"] == json{"q_proj", "up_proj"});
  CHECK(grid["layers_to_transform"] == json::array({0}));
  CHECK(grid["rank_pattern"] == json::object());
  CHECK(grid["lora_alpha"].is_number_integer());
  const auto all =
      peft_config_json(random_lora(model, {{0, q_proj, 4, 8}, {1, q_proj, 4, 8}, {2, q_proj, 4, 8}}, 4, 8), 3);
  CHECK(all["layers_to_transform"].is_null());
  const auto mixed = peft_config_json(random_lora(model, {{0, q_proj, 2, 8}, {1, up_proj, 4, 2.5}}, 4, 8), 3);
  CHECK(mixed["target_modules"] == json{"model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj"});
  CHECK(mixed["layers_to_transform"].is_null());
  CHECK(mixed["rank_pattern"] == json{{"layers.0.self_attn.q_proj", 2}});
  CHECK(mixed["alpha_pattern"] == json{{"layers.1.mlp.up_proj", 2.5}});
}
