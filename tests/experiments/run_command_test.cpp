// What a training run makes of its folder, and what it says about itself there.
#include <cstdlib>
#include <filesystem>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/base/atomic_file.h"
#include "core/base/hash.h"
#include "core/base/process_lock.h"
#include "core/base/version.h"
#include "models/checkpoints/open_checkpoint.h"
#include "tests/experiments/command_bench.h"
#include "tests/source.h"

namespace {

using nlohmann::json;

json read(const Bench& bench, const std::string& file) { return json::parse(bench.chat.folder.read(file)); }

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace

TEST_CASE("the folder of a model, given as --out by mistake, keeps every file") {
  const Bench bench;
  std::filesystem::create_directories(bench.chat.folder / "model/adapter");
  bench.chat.folder.write("model/adapter/precious", "1");
  check_refused(bench, bench.train({{"--out", "model"}}), "is not the folder of a run");
  check_refused(bench, with(bench.train({{"--out", "model"}}), {"--force"}), "is not the folder of a run");
  check_refused(bench, bench.train({{"--out", "."}}), "is not the folder of a run");
  check_refused(bench, {"quickstart", "--out", "model", "--model", "model", "--force"}, "is not the folder of a run");
  check_refused(bench,
                {"ablate", "router", "--model", "model", "--train", "train.json", "--test", "test.json", "--layers",
                 "1", "--rank", "2", "--variants", "learned", "--out", "model", "--quiet"},
                "is not the folder of a comparison");
  check_refused(bench, {"train", "--resume", "model"}, "is not the folder of a run");
}

TEST_CASE("a model trains whose template opens the answer in its prompt, and writes it otherwise once it is there") {
  const Bench bench;
  bench.chat.write("chat_template.jinja",
                   csreft::read_text_file(source("tests/golden_texts/chat_templates/deepseek_r1.jinja")));
  bench.chat.write("tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");
  const auto trained = bench.run(bench.train());
  CAPTURE(trained.err);
  CHECK(trained.code == 0);
  CHECK(read(bench, "run/summary.json")["steps"] == 2);
}

// The text of its template is its authors': it is taken from the default model's file, where there is one.
TEST_CASE("the template of SmolLM2-Instruct is replaced, and whoever loads another copy of it is told") {
  const char* smollm2 = std::getenv("CSREFT_SMOLLM2");
  if (smollm2 == nullptr || !std::filesystem::exists(smollm2)) {
    MESSAGE("skipped: no file of the default model");
    return;
  }
  const Bench bench;
  const auto told = [&](const Words& more) {
    const auto result = bench.run(with({"generate", "--prompt", "A", "--max-new-tokens", "1"}, more));
    CHECK(result.code == 0);
    return contains(result.err, "note: the chat template chatml takes the place of the model's own");
  };
  CHECK_FALSE(told({"--model", "model"}));
  bench.chat.write("chat_template.jinja", csreft::open_checkpoint(smollm2).chat_template);
  CHECK(told({"--model", "model"}));
  CHECK_FALSE(told({"--model", "model", "--chat-template", "chatml"}));
  CHECK_FALSE(told({}));
}

TEST_CASE("whoever asks a model without a chat template is told once which one was guessed, unless it is known") {
  const Bench bench;
  const auto notes = [&](const Words& words) {
    const auto result = bench.run(words);
    CAPTURE(result.err);
    CHECK(result.code == 0);
    const std::string note = "note: the model's files have no chat template: prompts have the form of chatml";
    std::ptrdiff_t n = 0;
    for (auto at = result.err.find(note); at != std::string::npos; at = result.err.find(note, at + 1)) ++n;
    return n;
  };
  auto training = bench.train();
  std::erase(training, "--quiet");
  CHECK(notes(training) == 1);
  CHECK(notes({"train", "--resume", "run", "--epochs", "2"}) == 0);  // it was told when the run began
  const Words base{"--model", "model", "--threads", "1"};
  const Words generate{"generate", "--prompt", "A", "--max-new-tokens", "1"};
  for (const Words& command : {generate, Words{"inspect", "--prompt", "A"}, Words{"chat"},
                               Words{"evaluate", "--test", "test.json", "--out", "scores.json"}}) {
    CAPTURE(command.front());
    CHECK(notes(with(command, base)) == 1);
    CHECK(notes(with(with(command, base), {"--quiet"})) == 0);
    CHECK(notes(with(with(command, base), {"--chat-template", "chatml"})) == 0);
    CHECK(notes(with(with(command, base), {"--adapter", "run"})) == 0);  // which was trained with one
  }
  bench.chat.write("chat_template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}");
  bench.chat.write("tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");
  CHECK(notes(with(generate, base)) == 0);
}

TEST_CASE("a finished run is replaced only with --force") {
  const Bench bench;
  REQUIRE(bench.run(bench.train()).code == 0);
  check_refused(bench, bench.train(), "finished run: expected another --out, or --force");
  // Wrong flags cost nothing of it.
  check_refused(bench, with(bench.train({{"--rank", "17"}}), {"--force"}), "rank 17");
  const auto replaced = bench.run(with(bench.train({{"--epochs", "2"}}), {"--force"}));
  CHECK(replaced.code == 0);
  CHECK(contains(replaced.out, "note: this replaces the run that was in run"));
  CHECK(read(bench, "run/summary.json")["steps"] == 4);
}

TEST_CASE("a folder in which a run is going on is left alone") {
  const Bench bench;
  REQUIRE(bench.run(bench.train()).code == 0);
  const csreft::ProcessLock lock(bench.chat.folder / "run");
  const std::string in_use = "run is in use by process " + std::to_string(::getpid());
  check_refused(bench, with(bench.train(), {"--force"}), in_use);
  check_refused(bench, {"train", "--resume", "run"}, in_use);
  // Reading is free.
  CHECK(bench
            .run({"generate", "--quiet", "--model", "model", "--adapter", "run", "--prompt", "A", "--max-new-tokens",
                  "1"})
            .code == 0);
}

TEST_CASE("config.json names the programme, the model, each data file and what computes") {
  const Bench bench;
  bench.chat.folder.write("check.json", letter_json(3));
  REQUIRE(bench.run(bench.train({{"--test", "test.json"}, {"--validation", "check.json"}})).code == 0);
  const json config = read(bench, "run/config.json");
  CHECK(config["version"] == csreft::program_version());
  CHECK(config["commit"] == csreft::program_commit());
  CHECK(config["model"]["path"] == (bench.chat.folder / "model").string());
  CHECK(config["model"]["hash"] == bench.chat.load().llama.fingerprint().text());
  CHECK(config["device"] == "cpu");
  CHECK(contains(config["hardware"].get<std::string>(), ", 1 thread"));
  CHECK(config["threads"] == 1);
  for (const auto& [role, name] : std::map<std::string, std::string>{
           {"train", "train.json"}, {"test", "test.json"}, {"validation", "check.json"}}) {
    CAPTURE(role);
    REQUIRE(config["data"][role].size() == 1);
    const json& file = config["data"][role][0];
    const std::string contents = bench.chat.folder.read(name);
    CHECK(file["path"] == (bench.chat.folder / name).string());
    CHECK(file["bytes"] == contents.size());
    CHECK(file["fnv1a"] == fmt::format("{:016x}", csreft::fnv1a(contents)));
  }
  const json summary = read(bench, "run/summary.json");
  CHECK(summary["device"] == "cpu");
  CHECK(summary["hardware"] == config["hardware"]);
  const std::string report = bench.chat.folder.read("run/report.html");
  CHECK(contains(report, "<dt>device</dt><dd>cpu</dd><dt>processor</dt>"));
}

TEST_CASE("the untrained model's scores stand beside the trained one's, unless they are not wanted") {
  const Bench bench;
  const auto result = bench.run(bench.train({{"--test", "test.json"}}));
  REQUIRE(result.code == 0);
  CHECK(contains(result.out, "untrained    test"));
  const auto summary = read(bench, "run/summary.json");
  CHECK(summary["untrained"]["test"]["n"] == 4);
  CHECK(summary["untrained"]["test"].contains("accuracy"));
  CHECK(contains(bench.chat.folder.read("run/report.html"), "untrained"));

  const auto without = bench.run(with(bench.train({{"--test", "test.json"}, {"--out", "other"}}), {"--no-baseline"}));
  REQUIRE(without.code == 0);
  CHECK_FALSE(contains(without.out, "untrained"));
  CHECK_FALSE(read(bench, "other/summary.json").contains("untrained"));
}

TEST_CASE("validation stands in the summary, in a file and in the report, and its flags are checked") {
  const Bench bench;
  const auto result = bench.run(
      bench.train({{"--validation", "0.25"}, {"--keep", "best"}, {"--epochs", "3"}, {"--validate-every", "2"}}));
  CAPTURE(result.err);
  REQUIRE(result.code == 0);
  const auto summary = read(bench, "run/summary.json");
  REQUIRE(summary["validation"].size() == 3);  // six of eight examples in batches of four: two steps an epoch
  CHECK(summary["validation"][0]["step"] == 2);
  CHECK(summary["validation"][0].contains("accuracy"));
  CHECK(contains(result.out, fmt::format("kept: step {}", summary["kept_step"].get<int>())));
  CHECK(contains(bench.chat.folder.read("run/report.html"), "<h2>Validation</h2>"));
  const auto lines = bench.chat.folder.read("run/validation.jsonl");
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 3);

  const auto refused = [&](const std::map<std::string, std::string>& changes, const std::string& part) {
    auto flags = changes;
    flags["--out"] = "other";
    check_refused(bench, bench.train(flags), part);
  };
  refused({{"--keep", "best"}}, "--keep best needs data");
  refused({{"--keep", "first"}, {"--validation", "0.5"}}, "expected one of last, best");
  refused({{"--validation", "1.5"}}, "expected a share between 0 and 1");
  refused({{"--validation", "absent.json"}}, "absent.json");
  refused({{"--validation", "0.5"}, {"--validate-every", "-1"}}, "--validate-every -1");
  refused({{"--save-every", "soon"}}, "--save-every soon");
}
