// Which rooms know which: arrows go down only, and there are no cycles.
#include "tests/layers.h"

#include <filesystem>

#include <doctest/doctest.h>

#include "tests/source.h"

namespace {

using Lines = std::vector<std::string>;

// Sources as they should be, to which a test adds what is wrong.
Includes sound() {
  return {{"core/base/error.h", {}},
          {"core/device/device.h", {}},
          {"core/device/device.cpp", {"core/device/device.h", "core/base/error.h"}},
          {"core/tensor/tensor.h", {"core/device/device.h"}},
          {"core/ops/ops.h", {"core/tensor/tensor.h"}},
          {"core/cpu/ops.h", {"core/ops/ops.h"}},
          {"core/cuda/ops.h", {"core/ops/ops.h"}},
          {"core/registry.cpp", {"core/cpu/ops.h", "core/cuda/ops.h", "core/device/device.h"}},
          {"autograd/variable.h", {"core/tensor/tensor.h"}},
          {"models/llama.h", {"autograd/variable.h"}},
          {"reft/methods/method.h", {"models/llama.h"}},
          {"experiments/training/trainer.h", {"reft/methods/method.h"}},
          {"experiments/cli/cli.h", {"core/base/error.h"}},
          {"experiments/report/report.h", {}},
          {"experiments/train.cpp", {"experiments/training/trainer.h", "experiments/cli/cli.h"}}};
}

Lines wrong_with(const std::string& file, const std::string& included) {
  Includes includes = sound();
  includes[file].push_back(included);
  return wrong_arrows(includes);
}

}  // namespace

TEST_CASE("rooms include only what lies below them" * doctest::skip(!has_whole_source())) {
  const Includes includes = read_includes();
  CHECK(includes.size() > 300);
  CHECK(includes.at("core/registry.cpp").size() >= 3);
  CHECK(wrong_arrows(includes) == Lines{});
}

TEST_CASE("no header and no pair of header and source includes itself through others" *
          doctest::skip(!has_whole_source())) {
  CHECK(cycles(read_includes()) == Lines{});
}

TEST_CASE("the quoted includes of a text are its names") {
  CHECK(included_names("// #include \"a.h\"\n#include <b.h>\n#include \"c/d.h\"\n  #include \"e.inc\"  // \"f\"\n") ==
        Lines{"c/d.h", "e.inc"});
}

TEST_CASE("an arrow that goes up, sideways or past its room's limits is found") {
  CHECK(wrong_arrows(sound()) == Lines{});
  CHECK(wrong_with("core/tensor/tensor.h", "core/ops/ops.h") ==
        Lines{"core/tensor/tensor.h -> core/ops/ops.h: goes up"});
  CHECK(wrong_with("core/base/error.h", "core/device/device.h").size() == 1);
  CHECK(wrong_with("core/ops/ops.h", "core/cpu/ops.h").size() == 1);
  CHECK(wrong_with("core/cpu/ops.h", "core/registry.cpp").size() == 1);
  CHECK(wrong_with("core/registry.cpp", "autograd/variable.h").size() == 1);
  CHECK(wrong_with("autograd/variable.h", "models/llama.h").size() == 1);
  CHECK(wrong_with("models/llama.h", "reft/methods/method.h").size() == 1);
  CHECK(wrong_with("reft/methods/method.h", "experiments/cli/cli.h").size() == 1);
  CHECK(wrong_with("core/cuda/ops.h", "core/cpu/ops.h") ==
        Lines{"core/cuda/ops.h -> core/cpu/ops.h: goes to the room beside it"});
  CHECK(
      wrong_with("autograd/variable.h", "core/cuda/ops.h") ==
      Lines{"autograd/variable.h -> core/cuda/ops.h: includes the CUDA backend, expected the registry alone to do so"});
  CHECK(wrong_with("experiments/cli/cli.h", "experiments/training/trainer.h") ==
        Lines{"experiments/cli/cli.h -> experiments/training/trainer.h: knows how methods are trained"});
  CHECK(wrong_with("experiments/report/report.h", "reft/methods/method.h").size() == 1);
  CHECK(wrong_with("models/llama.h", "llama.h") == Lines{"models/llama.h -> llama.h: is no source of these rooms"});
}

TEST_CASE("a cycle of headers is found, and one that goes through sources") {
  CHECK(cycles(sound()) == Lines{});
  CHECK(cycles({{"a.h", {"b.h"}}, {"b.h", {"c.h"}}, {"c.h", {"a.h"}}}) == Lines{"a -> b -> c -> a"});
  CHECK(cycles({{"a.h", {}}, {"a.cpp", {"a.h", "b.h"}}, {"b.h", {}}, {"b.cpp", {"b.h", "a.h"}}}) ==
        Lines{"a -> b -> a"});
  CHECK(cycles({{"a.h", {"b.h", "c.h"}}, {"b.h", {"c.h"}}, {"c.h", {}}}) == Lines{});
}
