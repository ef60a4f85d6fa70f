// ./run merge as a user runs it.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "models/checkpoints/open_checkpoint.h"
#include "models/llama/fingerprint.h"
#include "reft/adapters/peft.h"
#include "tests/experiments/command_bench.h"
#include "tests/reft/adapters/lora_tools.h"

namespace {

// A bench with an adapter in PEFT's layout in the folder "lora".
struct MergeBench {
  Bench bench{};
  csreft::Checkpoint base = csreft::open_checkpoint(bench.chat.path());

  MergeBench() { write_adapter("lora"); }

  void write_adapter(const std::string& name) const {
    using enum csreft::LinearSite;
    const auto adapter = random_lora(base.config, {{0, q_proj, 2, 4}, {1, up_proj, 2, 4}}, 2, 4);
    csreft::write_peft(bench.chat.folder / name, adapter, base.config);
  }
  void describe(const nlohmann::json& adapter_json, const std::string& adapter = "lora") const {
    nlohmann::json whole{{"format", "csreft"},  {"version", 2}, {"base_model", nlohmann::json::object()},
                         {"chat_template", ""}, {"system", ""}, {"method", {{"method", "lora"}}}};
    whole.merge_patch(adapter_json);
    bench.chat.folder.write(adapter + "/adapter.json", whole.dump());
  }
  static Words words(const std::string& adapter = "lora", const Words& more = {}) {
    Words all{"merge", "--model", "model", "--adapter", adapter, "--out", "merged"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

}  // namespace

TEST_CASE("merge writes a model that evaluates without the adapter") {
  const MergeBench merging;
  const auto& bench = merging.bench;
  const auto merged = bench.run(MergeBench::words("lora", {"--dtype", "bf16"}));
  CAPTURE(merged.err);
  REQUIRE(merged.code == 0);
  CHECK(merged.out == "merged: model in bf16, with LoRA merged into 2 linear layers\n");
  CHECK(contains(merged.err, "note: lora does not say which weights it was trained on: it is used with model\n"));
  const auto evaluated =
      bench.run({"evaluate", "--quiet", "--model", "model", "--adapter", "lora", "--test", "test.json"});
  CHECK(evaluated.code == 0);
  CHECK(evaluated.err == "note: lora does not say which weights it was trained on: it is used with model\n");
  CHECK(bench.run({"evaluate", "--quiet", "--model", "merged", "--test", "test.json", "--threads", "1"}).code == 0);
  check_refused(bench, MergeBench::words(), "folder merged is not empty");
}

TEST_CASE("merge takes a run's folder, and LoRA that applies everywhere") {
  const MergeBench merging;
  merging.write_adapter("run/adapter");
  const auto own = csreft::fingerprint(merging.base).text();
  merging.describe({{"method", {{"positions", "everywhere"}}}, {"base_model", {{"fingerprint", own}}}}, "run/adapter");
  CHECK(merging.bench.run(MergeBench::words("run")).code == 0);
}

TEST_CASE("merge refuses what is not a change of weights") {
  const MergeBench merging;
  merging.describe({{"method", {{"positions", "f5+l5"}}}});
  check_refused(merging.bench, MergeBench::words(), "it is an adapter of method lora at positions f5+l5");
  merging.describe({{"method", {{"positions", 3}}}});
  check_refused(merging.bench, MergeBench::words(), "`positions` is number");
  merging.describe({{"method", "lora"}});
  check_refused(merging.bench, MergeBench::words(), "options are not an object");
  merging.describe({{"base_model", {{"fingerprint", "0123"}}}});
  check_refused(merging.bench, MergeBench::words(),
                "lora/adapter.json belongs to another model: its fingerprint is 0123");

  REQUIRE(merging.bench.run(merging.bench.train()).code == 0);
  check_refused(merging.bench, MergeBench::words("run"), "it is an adapter of method");
}

TEST_CASE("merge refuses bad flags and folders") {
  const MergeBench merging;
  check_refused(merging.bench, {"merge", "--out", "merged"}, "there is no adapter");
  check_refused(merging.bench, {"merge", "--adapter", "lora"}, "no place for the merged model");
  check_refused(merging.bench, MergeBench::words("lora", {"--dtype", "q4_0"}), "--dtype q4_0 is not possible");
  check_refused(merging.bench, MergeBench::words("absent"), "adapter folder absent does not exist");
  check_refused(merging.bench, MergeBench::words("model"), "has no adapter_config.json");
  merging.bench.chat.folder.write("lora/adapter_config.json", "{}");
  check_refused(merging.bench, MergeBench::words(), "`peft_type` is missing");
}

TEST_CASE("a merge onto a full disk leaves nothing") {
  const MergeBench merging;
  const Snapshot before = snapshot(merging.bench.chat.folder.path());
  const auto result = merging.bench.run(MergeBench::words(), /*largest_file=*/10'000);
  CHECK(result.code == 2);
  CHECK(is_one_error_line(result.err));
  CHECK(snapshot(merging.bench.chat.folder.path()) == before);
}
