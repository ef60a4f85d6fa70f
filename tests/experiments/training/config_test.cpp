#include "experiments/training/config.h"

#include <doctest/doctest.h>

#include "core/base/threads.h"
#include "experiments/measure/bench_machine.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"
#include "tests/tiny_chat.h"

namespace {

using nlohmann::json;

// A folder with a config.json, and the model that it names.
struct Configured {
  const TinyChat chat{};
  const csreft::LanguageModel model = chat.load();
  const TemporaryFolder folder{};

  explicit Configured(const csreft::DataFiles& data = {}) {
    folder.write("config.json", csreft::config_text("train", {}, {"loreft"}, {}, model, data));
  }
  json config() const { return json::parse(folder.read("config.json")); }
  void change(const json& changes) const {
    json changed = config();
    changed.merge_patch(changes);
    folder.write("config.json", changed.dump());
  }
  // Goes on after `steps` steps, and returns what differs from the run so far.
  std::vector<std::string> go_on(std::int64_t steps) const {
    const auto lines = csreft::differences(csreft::read_config(folder.path(), "train"), csreft::Device{});
    csreft::continue_config(folder.path(), {}, model, steps);
    return lines;
  }
};

}  // namespace

TEST_CASE("tasks that no file holds are in config.json by their names, sizes and hashes") {
  const csreft::Task train = letter_task(6), test = letter_task(3);
  const Configured made({.train = {}, .test = {}, .validation = {}, .made_train = {train}, .made_test = {test}});
  const json data = made.config()["data"];
  CHECK(data["train"][0]["task"] == "letters");
  CHECK(data["train"][0]["examples"] == 6);
  CHECK(data["test"][0]["fnv1a"] == fmt::format("{:016x}", content_hash(test)));
  CHECK(data["train"][0]["fnv1a"] != data["test"][0]["fnv1a"]);
  csreft::Task other = train;
  other.examples[5].answer = "z";
  CHECK(content_hash(other) != content_hash(train));
}

TEST_CASE(
    "a run that goes on elsewhere names what computes now, lists what did before, and says that bits may differ") {
  const Configured run;
  CHECK(run.go_on(1).empty());
  CHECK_FALSE(run.config().contains("earlier_parts"));
  const json here = run.config();

  run.change({{"device", "cuda:0"}, {"hardware", "NVIDIA H100"}});
  const auto lines = run.go_on(3);
  REQUIRE(lines.size() == 1);
  CHECK(contains(lines[0], "where the run had NVIDIA H100, last bits may differ"));
  CHECK_FALSE(contains(lines[0], "threads"));
  json config = run.config();
  for (const char* key : {"device", "hardware", "threads"}) CHECK(config[key] == here[key]);
  CHECK(config["device"] == "cpu");
  CHECK(config["hardware"] == csreft::hardware_name({}));
  REQUIRE(config["earlier_parts"].size() == 1);
  CHECK(config["earlier_parts"][0]["device"] == "cuda:0");
  CHECK(config["earlier_parts"][0]["hardware"] == "NVIDIA H100");
  CHECK(config["earlier_parts"][0]["steps"] == 3);
  CHECK(run.go_on(4).empty());

  run.change({{"threads", csreft::threads() + 1}});
  CHECK(contains(run.go_on(5).at(0), "threads where the run had"));
  config = run.config();
  REQUIRE(config["earlier_parts"].size() == 2);
  CHECK(config["earlier_parts"][1]["threads"] == csreft::threads() + 1);
  CHECK(config["threads"] == csreft::threads());

  // The same processor, whatever the number of threads beside its name.
  for (const char* threads : {", 1 thread", ", 96 threads"}) {
    run.change({{"hardware", csreft::chip_name({}) + threads}});
    CHECK(run.go_on(6).empty());
  }
}

TEST_CASE("a config.json that does not say what computed, or not in a list, has no part before, or is refused") {
  const Configured run;
  run.change(
      {{"device", nullptr}, {"hardware", nullptr}, {"threads", nullptr}, {"version", nullptr}, {"commit", nullptr}});
  CHECK(run.go_on(1).empty());
  CHECK_FALSE(run.config().contains("earlier_parts"));
  run.change({{"device", "cuda:0"}, {"earlier_parts", 3}});
  CHECK(contains(error_text([&] { return run.go_on(2).size(); }), "`earlier_parts` is number: expected a list"));
}
