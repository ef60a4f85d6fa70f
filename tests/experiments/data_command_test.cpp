// The commands on data as people have them.
#include <nlohmann/json.hpp>

#include "tests/experiments/command_bench.h"

namespace {

using nlohmann::json;
using namespace std::string_view_literals;

Words evaluation(const Words& more) {
  Words words{"evaluate", "--quiet", "--model", "model", "--threads", "1"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

json read_json(const Bench& bench, const std::string& file) { return json::parse(bench.chat.folder.read(file)); }

constexpr const char* conversations =
    R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "A"},
        {"role": "assistant", "content": "a"}, {"role": "user", "content": "B"}, {"role": "assistant", "content": "b"}]})";

}  // namespace

TEST_CASE("every format is trained on and scored") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  folder.write("alpaca.json", R"([{"instruction": "A", "output": "a", "system": "s", "history": [["B", "b"]]}])");
  folder.write("messages.json", "[" + std::string(conversations) + "]");
  folder.write("sharegpt.jsonl",
               R"({"conversations": [{"from": "human", "value": "A"}, {"from": "gpt", "value": "a"}]})");
  folder.write("completion.jsonl", R"({"prompt": "A", "completion": "a"})");
  folder.write("text.jsonl", R"({"text": "A a"})");
  for (const char* file : {"alpaca.json", "messages.json", "sharegpt.jsonl", "completion.jsonl", "text.jsonl"}) {
    CAPTURE(file);
    const auto result = bench.run(bench.train(
        {{"--train", file}, {"--test", file}, {"--positions", "all"}, {"--out", "run-" + std::string(file)}}));
    CAPTURE(result.err);
    REQUIRE(result.code == 0);
    const auto summary = read_json(bench, "run-" + std::string(file) + "/summary.json");
    CHECK(summary["tasks"].begin().value()["n"] == 1);
    CHECK(summary["tasks"].begin().value().contains("nll"));
    CHECK_FALSE(summary.contains("skipped"));
  }
}

TEST_CASE("train and test of a named task have one name everywhere") {
  const Bench bench;
  auto words = bench.train({{"--train", "letters=train.json"}, {"--test", "letters=test.json"}});
  const auto result = bench.run(words);
  CAPTURE(result.err);
  REQUIRE(result.code == 0);
  CHECK(contains(result.out, "letters                  accuracy "));
  const auto summary = read_json(bench, "run/summary.json");
  CHECK(summary["tasks"].size() == 1);
  CHECK(summary["tasks"].contains("letters"));
  const auto config = read_json(bench, "run/config.json");
  CHECK(config["data"]["train"][0]["task"] == "letters");
  CHECK(contains(config["data"]["train"][0]["path"].get<std::string>(), "/train.json"));
  // A run goes on with the names that it began with.
  REQUIRE(bench.run({"train", "--quiet", "--resume", "run", "--epochs", "2"}).code == 0);
  CHECK(read_json(bench, "run/summary.json")["tasks"].contains("letters"));
}

TEST_CASE("one file holds several tasks by a column, whose columns have other names") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  std::string lines;
  for (const char* kind : {"one", "two", "one"}) {
    lines += json{{"kind", kind}, {"question", "A"}, {"reply", "a"}, {"label", "a"}, {"id", 1}}.dump() + "\n";
  }
  folder.write("both.jsonl", lines);
  const auto result =
      bench.run(evaluation({"--test", "both.jsonl", "--task-column", "kind", "--field", "instruction=question",
                            "output=reply", "answer=label", "--out", "scores.json"}));
  CAPTURE(result.err);
  REQUIRE(result.code == 0);
  CHECK(contains(result.out, "note: both.jsonl: the key id is not read"));
  const auto scores = read_json(bench, "scores.json");
  CHECK(scores["tasks"]["one"]["n"] == 2);
  CHECK(scores["tasks"]["two"]["n"] == 1);
  CHECK(scores["tasks"]["one"].contains("accuracy"));
  check_refused(bench, evaluation({"--test", "both.jsonl", "--field", "outptu=reply"}), "there is no column outptu");
  check_refused(
      bench,
      evaluation({"--test", "both.jsonl", "--task-column", "sort", "--field", "instruction=question", "output=reply"}),
      "no \"sort\"");
}

TEST_CASE("what cannot be used is skipped and told, with a limit as well, and all skipped is an error") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  const json long_one{{"instruction", std::string(200, 'x')}, {"output", "a"}};
  const json good{{"instruction", "A"}, {"output", "a"}}, empty{{"instruction", "A"}, {"output", nullptr}};
  folder.write("some.json", json{good, long_one, good, empty, good, long_one}.dump());
  for (const auto& [limit, n, told] :
       {std::tuple<Words, int, const char*>{{}, 3, "note: some: skipped 3 of 6: 2 too long, 1 without a response"},
        {{"--tests", "2"}, 2, "note: some: skipped 2 of 6: 1 too long, 1 without a response"},
        {{"--limit", "1"}, 1, "note: some: skipped 1 of 6: 1 without a response"}}) {
    Words words = evaluation({"--test", "some.json", "--out", "scores.json"});
    words.insert(words.end(), limit.begin(), limit.end());
    const auto result = bench.run(words);
    CAPTURE(result.err);
    REQUIRE(result.code == 0);
    CHECK(contains(result.out, told));
    CHECK(read_json(bench, "scores.json")["tasks"]["some"]["n"] == n);
  }
  const auto trained = bench.run(bench.train({{"--train", "some.json"}, {"--test", "some.json"}}));
  CAPTURE(trained.err);
  REQUIRE(trained.code == 0);
  CHECK(contains(trained.out, "note: some: skipped 3 of 6: 2 too long, 1 without a response"));
  const auto skipped = read_json(bench, "run/summary.json")["skipped"];
  CHECK(skipped["train"]["some"] == json{{"too_long", 2}, {"without_response", 1}});
  CHECK(skipped["test"] == skipped["train"]);
  folder.write("none.json", json{long_one, empty}.dump());
  check_refused(bench, evaluation({"--test", "none.json", "--out", "other.json"}), "1 too long, 1 without a response");
  // Answers are to what can be answered.
  const auto generated = bench.run({"generate", "--quiet", "--model", "model", "--data", "some.json", "--out",
                                    "answers.json", "--max-new-tokens", "2", "--threads", "1"});
  CAPTURE(generated.err);
  REQUIRE(generated.code == 0);
  CHECK(read_json(bench, "answers.json").size() == 4);
}

TEST_CASE("answers hold the whole prompt, so that the same is asked by them") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  const json turns{{{"role", "user"}, {"content", "A"}},
                   {{"role", "assistant"}, {"content", "a"}},
                   {{"role", "user"}, {"content", "B"}}};
  json with_system = turns;
  with_system.insert(with_system.begin(), json{{"role", "system"}, {"content", "own"}});
  folder.write(
      "ask.json",
      json{{{"instruction", "C"}, {"input", "c"}, {"dataset", "d"}}, {{"messages", turns}}, {{"messages", with_system}}}
          .dump());
  const auto answers_to = [&](const std::string& file, const Words& more) {
    Words words{"generate", "--quiet",  "--model",          "model", "--data",    file,
                "--out",    "out.json", "--max-new-tokens", "4",     "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    const auto result = bench.run(words);
    CAPTURE(result.err);
    REQUIRE(result.code == 0);
    return read_json(bench, "out.json");
  };
  const auto plain = answers_to("ask.json", {});
  REQUIRE(plain.size() == 3);
  CHECK(plain[0].size() == 5);  // AlpacaEval's four, and the input
  CHECK(plain[0]["input"] == "c");
  CHECK(plain[1]["instruction"] == "B");
  CHECK(plain[1]["history"] == json::array({json::array({"A", "a"})}));
  CHECK_FALSE(plain[1].contains("system"));
  CHECK(plain[2]["history"] == json::array({json::array({"A", "a"})}));
  CHECK(plain[2]["system"] == "own");
  const auto common = answers_to("ask.json", {"--system", "common"});
  CHECK(common[0]["system"] == "common");
  CHECK(common[2]["system"] == "own");
  // What was written is read as what was asked.
  folder.write("again.json", common.dump());
  CHECK(answers_to("again.json", {}) == common);
}

TEST_CASE("scores say their metric in every file that has them") {
  const Bench bench;
  for (const char* metric : {"choice", "exact", "contains", "rouge-l", "nll"}) {
    CAPTURE(metric);
    const auto result = bench.run(
        evaluation({"--test", "letters=test.json", "--metric", metric, "--out", "by-" + std::string(metric)}));
    CAPTURE(result.err);
    REQUIRE(result.code == 0);
    CHECK(contains(result.out, std::string("letters                  ") + metric + " "));
    CHECK(contains(result.out, "(n = 4)"));
    const auto folder = "by-" + std::string(metric);
    const auto score = read_json(bench, folder + "/summary.json")["tasks"]["letters"];
    CHECK(score.size() == 2);
    CHECK(score.contains(metric));
    CHECK(contains(bench.chat.folder.read(folder + "/report.html"), metric));
    if (std::string(metric) == "nll") continue;
    std::istringstream lines(bench.chat.folder.read(folder + "/answers.jsonl"));
    double sum = 0;
    for (std::string line; std::getline(lines, line);) {
      const auto answer = json::parse(line);
      CHECK(answer["metric"] == metric);
      sum += answer.contains("score") ? answer["score"].get<double>() : answer["correct"].get<bool>() ? 1.0 : 0.0;
    }
    CHECK(sum / 4 == doctest::Approx(score[metric].get<double>()));
  }
  const auto compared = bench.run({"compare", "by-choice", "by-exact", "--out", "compared"});
  CAPTURE(compared.err);
  CHECK(compared.code == 0);
  CHECK(contains(compared.out, "letters choice"));
  CHECK(contains(compared.out, "(n = 4)"));
  check_refused(bench, evaluation({"--test", "test.json", "--metric", "bleu"}), "unknown metric 'bleu'");
}

TEST_CASE("validation, sequences and comparisons follow the metric that is asked for") {
  const Bench bench;
  auto words = bench.train({{"--train", "a=train.json"}, {"--validation", "0.5"}, {"--metric", "choice"}});
  words.insert(words.end(), {"--train", "b=train.json", "--test", "a=test.json", "b=test.json", "--order", "sequence"});
  const auto result = bench.run(words);
  CAPTURE(result.err);
  REQUIRE(result.code == 0);
  const auto summary = read_json(bench, "run/summary.json");
  CHECK(summary["validation"][0].contains("choice"));
  CHECK(summary["sequence"]["metric"] == "choice");
  CHECK(summary["tasks"]["a"].contains("choice"));
  Words ablation{
      "ablate",       "rank",   "--smoke",     "--quiet",     "--model", "model",    "--threads", "1",
      "--layers",     "1",      "--metric",    "choice",      "--out",   "ablation", "--train",   "a=train.json",
      "b=train.json", "--test", "a=test.json", "b=test.json", "--tests", "3"};
  const auto compared = bench.run(ablation);
  CAPTURE(compared.err);
  REQUIRE(compared.code == 0);
  CHECK(contains(bench.chat.folder.read("ablation/rank.tsv"), "\ta\tb\tmean_choice\t"));
  CHECK(contains(bench.chat.folder.read("ablation/rank-summary.tsv"), "mean_choice"));
}

TEST_CASE("gzip data are read by every command, and other files are refused with what helps") {
  const Bench bench;
  // The list [{"instruction": "A", "output": "a"}], by gzip -9n.
  constexpr std::string_view gzipped =
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x8b\xae\x56\xca\xcc\x2b\x2e\x29\x2a\x4d\x2e\xc9\xcc\xcf"
      "\x53\xb2\x52\x50\x72\x54\xd2\x51\x50\xca\x2f\x2d\x29\x28\x2d\x01\x71\x13\x95\x6a\x63\x01\x71\x2c"
      "\xc3\xf0\x25\x00\x00\x00"sv;
  bench.chat.folder.write("a.jsonl.gz", gzipped);
  const auto result = bench.run(evaluation({"--test", "a.jsonl.gz", "--out", "scores.json"}));
  CAPTURE(result.err);
  REQUIRE(result.code == 0);
  CHECK(read_json(bench, "scores.json")["tasks"]["a"]["n"] == 1);
  bench.chat.folder.write("a.parquet", "PAR1 and more");
  check_refused(bench, evaluation({"--test", "a.parquet"}), "a.parquet is Parquet: expected JSON, as python3");
}
