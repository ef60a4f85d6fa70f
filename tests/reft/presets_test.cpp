#include "reft/presets.h"

#include <doctest/doctest.h>

#include "reft/methods/edit_sites.h"
#include "tests/error_text.h"
#include "tests/reft/method_tools.h"

using csreft::MethodOptions;

TEST_CASE("a preset is known by its settings, whoever made them, and can be built") {
  auto config = tiny_config();
  config.hidden_size = 16;  // room for four subspaces of rank 4
  const csreft::Llama wide(tiny_checkpoint(config), csreft::Weights::frozen, csreft::DType::f64);
  for (const auto& preset : csreft::presets()) {
    if (preset.method.method == "full") continue;  // has no option but those of the training
    CAPTURE(preset.name);
    MethodOptions options = with_preset(preset, {preset.method.method});
    options["layers"] = "0,2";  // a preset is known without its layers
    const auto made = csreft::create_method(options, wide, 1);
    CHECK(csreft::preset_name(made->options(), preset.train) == preset.name);
    CHECK(csreft::departures(preset, made->options()).empty());
    if (preset.method.method != "csreft") continue;
    options["router_lr"] = 0.77;
    const auto other = csreft::create_method(options, wide, 1);
    CHECK(contains(csreft::preset_name(other->options(), preset.train), ", changed: router_lr"));
    CHECK(csreft::departures(preset, other->options()) == "router_lr");
  }
  CHECK(contains(error_text([] { csreft::find_preset("papper"); }), "unknown preset 'papper' (did you mean paper?)"));
}

TEST_CASE("the preset of CS-ReFT that suits follows from the gate and the penalty") {
  const auto suitable = [](const nlohmann::json& given) { return csreft::suitable_preset({"csreft", given})->name; };
  CHECK(suitable(nlohmann::json::object()) == "specialised");
  // Without a router, the preset is the formula and the start alone.
  CHECK(suitable({{"gate", "ones"}}) == "specialised");
  CHECK(suitable({{"gate", "onehot"}}) == "specialised");
  CHECK(suitable({{"gate", "hard"}}) == "paper");
  CHECK(suitable({{"gate", "softmax"}}) == "specialised");
  // l1 says nothing of gates that compete.
  CHECK(suitable({{"penalty", "l1"}}) == "paper");
  CHECK(csreft::suitable_preset({"loreft"}) == nullptr);
}

TEST_CASE("what is given stands, and no penalty is no weight") {
  const auto& specialised = csreft::find_preset("specialised");
  CHECK(with_preset(specialised, {"csreft", {{"penalty", "none"}}}).at("lambda") == 0.0);
  CHECK(with_preset(specialised, {"csreft", {{"lambda", 0.0}}}).at("penalty") == "none");
  CHECK(with_preset(specialised, {"csreft", {{"lambda", 0.1}}}).at("penalty") == "mi");
  CHECK(with_preset(specialised, {"csreft", {{"rank", 7}}}).at("rank") == 7);
}

// arXiv 2404.03592, appendix D, and the commands of pyreft 0.1.0's examples/loreft and examples/alpaca.
TEST_CASE("pyreft's recipes are what it publishes") {
  const auto check = [](std::string_view name, const nlohmann::json& method, const nlohmann::json& train) {
    CAPTURE(name);
    const auto& preset = csreft::find_preset(name);
    CHECK(preset.method.method == "loreft");
    CHECK(preset.method.values == method);
    CHECK(preset.train == train);
  };
  const nlohmann::json all_layers{{"layers", "all"}, {"rank", 8}, {"positions", "f7+l7"}, {"tied", true}};
  check("instruct", {{"layers", "3,9,18,24 of 32"}, {"rank", 4}, {"positions", "f5+l5"}},
        {{"epochs", 9}, {"lr", 9e-4}, {"batch", 128}, {"warmup", 0.0}, {"max_length", 768}});
  check("commonsense", all_layers, {{"epochs", 6}, {"lr", 9e-4}, {"batch", 32}, {"warmup", 0.1}});
  check("math", all_layers, {{"epochs", 12}, {"lr", 9e-4}, {"batch", 32}, {"warmup", 0.1}});
  check("alpaca", {{"layers", "8,19 of 32"}, {"rank", 4}, {"positions", "f1+l1"}},
        {{"epochs", 1}, {"lr", 2e-5}, {"batch", 32}, {"warmup", 0.03}});
}

TEST_CASE("paper-budget has 655,588 numbers in Llama-2-7B, 0.0097 % of it") {
  // 4 places of 4 subspaces: R and W [16, 4096], b [16]; a router 4096 -> 32 -> 4.
  const std::int64_t edits = 4 * (2 * 16 * 4096 + 16), router = 32 * 4096 + 32 + 4 * 32 + 4;
  CHECK(edits + router == 655588);
  const auto& values = csreft::find_preset("paper-budget").method;
  CHECK(values.at("subspaces") == 4);
  CHECK(values.at("rank") == 4);
  CHECK(values.at("router_hidden") == 32);
  CHECK(values.at("positions") == "f5=l5");
  CHECK(csreft::parse_layers(values.at("layers").get<std::string>(), 32) == std::vector<std::int64_t>{3, 9, 18, 24});
}
