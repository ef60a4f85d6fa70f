#include "experiments/cli/config_flags.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "experiments/cli/cli.h"
#include "tests/experiments/command_bench.h"
#include "tests/temporary_folder.h"

namespace {

using nlohmann::json;

struct Values {
  double rate = 0.5;
  std::uint64_t seed = 0;
  bool tied = true, plain = false;
  std::vector<std::string> files{};
  std::string new_name{};
};

// The flags of an experiment with one of each kind.
struct Sample : Values {
  csreft::Flags flags{"sample", "A sample.", {}};

  Sample() {
    flags.add("--rate", rate, "a rate");
    flags.add("--seed", seed, "a seed");
    flags.add_switch("--tied,!--no-tied", tied, "a switch with an opposite");
    flags.add_switch("--plain", plain, "a switch");
    flags.add_list("--train", files, "files");
    flags.add("--new-name", new_name, "a text");
  }
};

// What the flags are with this file's text, and these words beside it.
Values read(const std::string& text, const Words& words = {}) {
  const TemporaryFolder folder;
  Sample sample;
  Words all{"--config", folder.write("f.json", text)};
  all.insert(all.end(), words.begin(), words.end());
  sample.flags.parse(all);
  return static_cast<const Values&>(sample);  // without its flags
}

std::string refusal(const std::string& text) {
  return error_text([&] { return read(text).rate; });
}

}  // namespace

TEST_CASE("a file of flags gives what the command line does not") {
  const std::string text =
      R"({"rate": 2, "tied": false, "plain": true, "train": ["a b.json", "c.json"], "new_name": "x", "seed": "7"})";
  const Values all = read(text);
  CHECK(all.rate == 2);
  CHECK_FALSE(all.tied);
  CHECK(all.plain);
  CHECK(all.files == Words{"a b.json", "c.json"});
  CHECK(all.new_name == "x");
  CHECK(all.seed == 7);
  const Values changed = read(text, {"--train", "d.json", "--rate=3", "--tied", "--new-name", "y"});
  CHECK(changed.rate == 3);
  CHECK(changed.tied);
  CHECK(changed.plain);
  CHECK(changed.files == Words{"d.json"});
  CHECK(changed.new_name == "y");
  CHECK(read(R"({"new-name": ["a", 2]})").new_name == "a,2");
  CHECK(read(R"({"train": "a.json"})").files == Words{"a.json"});
  CHECK_FALSE(read(R"({"plain": false, "no_tied": true})").plain);
  CHECK(read(R"({"no_tied": false})").tied);
  CHECK(read("{}").rate == 0.5);
}

TEST_CASE("the command and the arguments are those that the file stands for") {
  const TemporaryFolder folder;
  Sample sample;
  const auto file = folder.write("f.json", R"({"rate": 2, "train": ["a.json", "b.json"]})");
  REQUIRE(sample.flags.parse(Words{"--seed", "1", "--config=" + file.string()}));
  CHECK(sample.flags.command() == "./run sample --seed 1 --rate=2 --train=a.json --train=b.json");
  CHECK_FALSE(sample.flags.given("--config"));
  CHECK(sample.flags.given("--rate"));
}

TEST_CASE("a file with another key or another type than a flag has is refused in one line") {
  CHECK(contains(refusal(R"({"raet": 2})"),
                 "f.json: unknown key `raet` (did you mean rate?): expected the name of a flag"));
  CHECK(contains(refusal(R"({"config": "g.json"})"), "unknown key `config`"));
  CHECK(contains(refusal(R"({"rate": [1, 2]})"), "`rate` is [1,2]: expected a number for --rate"));
  CHECK(contains(refusal(R"({"rate": true})"), "`rate` is true: expected a number for --rate"));
  CHECK(contains(refusal(R"({"rate": "fast"})"), "--rate"));
  CHECK(contains(refusal(R"({"seed": 1.5})"), "--seed"));
  CHECK(contains(refusal(R"({"tied": "yes"})"), "`tied` is \"yes\": expected true or false for --tied"));
  CHECK(
      contains(refusal(R"({"train": [["a"]]})"), "`train` is [[\"a\"]]: expected a text, a number or a list of them"));
  CHECK(contains(refusal(R"({"new_name": null})"), "`new-name` is null: expected a text"));
  CHECK(contains(refusal(R"({"new_name": {"a": 1}})"), "`new-name` is {\"a\":1}: expected a text"));
  CHECK(contains(refusal(R"(["rate"])"), "f.json holds array: expected a JSON object"));
  CHECK(contains(refusal("{"), "f.json is not valid JSON"));
  Sample sample;
  CHECK(error_text([&] { return sample.flags.parse(Words{"--config"}); }) ==
        "--config has no value: expected --config FILE");
  CHECK(contains(error_text([&] {
                   return sample.flags.parse(Words{"--config", "/nowhere/f.json"});
                 }),
                 "/nowhere/f.json"));
  const TemporaryFolder folder;
  const std::string file = folder.write("f.json", "{}");
  CHECK(error_text([&] {
          return sample.flags.parse(Words{"--config", file, "--config", file});
        }) == "--config is given twice: expected once");
}

TEST_CASE("train takes a file of flags, and a run's config.json, with flags in their place") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  folder.write("flags.json",
               R"({"model": "model", "train": ["train.json"], "test": "test.json", "method": "lora+loreft",
                   "lora.rank": 2, "loreft.rank": 1, "layers": [1], "epochs": 1, "batch": 4, "threads": 1,
                   "targets": ["q_proj", "v_proj"], "quiet": true})");
  const auto first = bench.run({"train", "--config", "flags.json", "--out", "run"});
  CAPTURE(first.err);
  REQUIRE(first.code == 0);
  CHECK(!contains(first.out, "note: --"));
  const auto config = json::parse(folder.read("run/config.json"));
  CHECK(config["method"]["lora.rank"] == 2);
  CHECK(config["method"]["lora.targets"] == json::array({"q_proj", "v_proj"}));

  // The same again, from the run; and it goes on without the file.
  std::filesystem::remove(folder / "flags.json");
  const auto again = bench.run({"train", "--config", "run/config.json", "--out", "again"});
  CAPTURE(again.err);
  REQUIRE(again.code == 0);
  CHECK(json::parse(folder.read("again/config.json"))["method"] == config["method"]);
  CHECK(folder.read("again/adapter/adapter.safetensors") == folder.read("run/adapter/adapter.safetensors"));
  CHECK(bench.run({"train", "--quiet", "--resume", "again", "--epochs", "2"}).code == 0);
  const auto other = bench.run({"train", "--config", "run/config.json", "--out", "other", "--lora.rank", "1"});
  REQUIRE(other.code == 0);
  CHECK(json::parse(folder.read("other/config.json"))["method"]["lora.rank"] == 1);

  folder.write("wrong.json", R"({"train": "train.json", "rnak": 2})");
  check_refused(bench, {"train", "--config", "wrong.json"}, "unknown key `rnak` (did you mean rank?)");
  folder.write("wrong.json", R"({"train": "train.json", "rank": "eight"})");
  check_refused(bench, {"train", "--config", "wrong.json"}, "--rank 'eight' is not understood");
}
