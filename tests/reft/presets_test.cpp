#include "reft/presets.h"

#include <doctest/doctest.h>

#include "tests/error_text.h"

TEST_CASE("a preset is known by its settings, whoever made them") {
  for (const auto& preset : csreft::presets()) {
    CAPTURE(preset.name);
    csreft::MethodOptions options;
    double router_lr = -1.0;
    csreft::set_preset(preset, options, router_lr);
    CHECK(csreft::preset_name(options, router_lr) == preset.name);
    CHECK(csreft::find_preset(preset.name).gate == options.gate);
    CHECK(csreft::preset_for(options.gate, options.penalty).name == preset.name);
    // Every part of a preset can be built.
    CHECK(csreft::find_penalty(options.penalty).name == preset.penalty);
    CHECK(csreft::find_router_input(options.router_input).name == preset.router_input);
    CHECK(csreft::find_router_start(options.router_start).name == preset.router_start);
    options.router_norm = !options.router_norm;
    CHECK(csreft::preset_name(options, router_lr) == "custom");
  }
  CHECK(contains(error_text([] { csreft::find_preset("papper"); }), "unknown preset 'papper' (did you mean paper?)"));
}

TEST_CASE("the settings of MethodOptions, where nothing is said, are the paper's") {
  CHECK(csreft::preset_name({}, 1.0) == "paper");
  CHECK(csreft::preset_for("ones", "none").name == "paper");
  CHECK(csreft::preset_for("softmax", "none").name == "specialised");
  // l1 says nothing of gates that compete.
  CHECK(csreft::preset_for("top1", "l1").name == "paper");
}
