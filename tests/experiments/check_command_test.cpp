// What ./run asks an older programme before a build: whether it would refuse the command.
#include "tests/environment.h"
#include "tests/experiments/command_bench.h"

namespace {

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Words comparison(const Words& words) {
  return with(words, {"--model", "model", "--train", "train.json", "--test", "test.json", "--out", "compared"});
}

}  // namespace

TEST_CASE("a check passes what could begin, and begins nothing") {
  const Bench bench;
  REQUIRE(bench.run(bench.train({{"--method", "lora"}})).code == 0);
  const EnvironmentVariable checks("CSREFT_CHECK", "1");
  const Snapshot before = snapshot(bench.chat.folder.path());
  for (const Words& words :
       {bench.train({{"--out", "other"}}), Words{"train", "--resume", "run"}, Words{"quickstart", "--out", "other"},
        Words{"evaluate", "--model", "model", "--test", "test.json", "--out", "other"},
        Words{"generate", "--model", "model", "--data", "test.json", "--out", "answers.json"},
        Words{"chat", "--model", "model"}, Words{"inspect", "--model", "model", "--prompt", "A", "--json", "all.json"},
        Words{"runs", "."}, Words{"compare", "run", "run", "--out", "compared"},
        Words{"merge", "--model", "model", "--adapter", "run", "--out", "merged"},
        Words{"make-random", "--out", "random"}, comparison({"ablate", "rank"}), comparison({"table1"}),
        Words{"bench", "--model", "model", "--json", "bench.json"}, Words{"gpu-check", "--smoke", "--out", "check"},
        Words{"soak"}, Words{"roofline"}}) {
    CAPTURE(words);
    const auto result = bench.run(words);
    CHECK(result.code == 0);
    CHECK(result.err.empty());
    CHECK(result.out.empty());
    CHECK(snapshot(bench.chat.folder.path()) == before);
  }
}

TEST_CASE("a check refuses values, not names of flags alone") {
  const Bench bench;
  const EnvironmentVariable checks("CSREFT_CHECK", "1");
  for (const auto& [flag, value] : {std::pair{"--method", "foo"},
                                    {"--rank", "abc"},
                                    {"--rank", "0"},
                                    {"--epochs", "abc"},
                                    {"--metric", "foo"},
                                    {"--weights", "foo"},
                                    {"--device", "tpu"},
                                    {"--chat-template", "foo"},
                                    {"--optimizer", "foo"},
                                    {"--train", "absent.json"},
                                    {"--test", "x.csv"},
                                    {"--validation", "2"},
                                    {"--save-every", "soon"}}) {
    CAPTURE(flag);
    check_refused(bench, bench.train({{flag, value}}), value);
  }
  check_refused(bench, {"train"}, "--train");
  check_refused(bench, {"make-random", "--shape", "nope", "--out", "a"}, "nope");
  check_refused(bench, {"bench", "--only", "nope"}, "unknown part 'nope'");
  check_refused(bench, comparison({"ablate", "rank", "--rank", "abc"}), "abc");
  check_refused(bench, comparison({"ablate", "nope"}), "nope");
  check_refused(bench, {"evaluate", "--model", "model", "--test", "test.json", "--metric", "foo"}, "foo");
}
