// Which runs there are, and what they differ by.
#include <fstream>
#include <regex>
#include <sstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/base/process_lock.h"
#include "tests/experiments/command_bench.h"

namespace {

using nlohmann::json;

// A run in runs/NAME.
Words run_in(const Bench& bench, const std::string& name, std::map<std::string, std::string> changes = {}) {
  changes["--out"] = "runs/" + name;
  changes.emplace("--test", "test.json");
  return bench.train(changes);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// As if the run had come on so many minutes ago.
void age(const std::filesystem::path& run, int minutes) {
  for (const auto& entry : std::filesystem::directory_iterator(run)) {
    if (!entry.is_directory()) {
      std::filesystem::last_write_time(entry,
                                       std::filesystem::file_time_type::clock::now() - std::chrono::minutes(minutes));
    }
  }
}

// The line of the list that begins with the run's name.
std::string line_of(const std::string& list, const std::string& name) {
  for (const auto& line : lines_of(list)) {
    if (line.starts_with(name + " ")) return line;
  }
  return "";
}

}  // namespace

TEST_CASE("runs are listed with what they are, the newest first, and other folders are left out") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  CHECK(contains(bench.run({"runs"}).out, "no runs in " + (folder / "runs").string() + "\n"));
  REQUIRE(bench.run(run_in(bench, "old")).code == 0);
  REQUIRE(bench.run(run_in(bench, "new", {{"--method", "lora"}})).code == 0);
  REQUIRE(bench.run(run_in(bench, "both/inner")).code == 0);
  age(folder / "runs/old", 20);
  age(folder / "runs/both/inner", 10);
  std::filesystem::create_directories(folder / "runs/mine");
  folder.write("runs/mine/notes.txt", "not a run");
  // As an earlier version left it, and stopped before its first summary.
  std::filesystem::create_directories(folder / "runs/earlier");
  folder.write("runs/earlier/config.json",
               R"({"experiment": "train", "arguments": ["--train", "x/a.train.json", "b.json", "--rank=2"],
                   "method": {"method": "red"}})");
  folder.write("runs/earlier/metrics.jsonl", "{}\n{}\n{}\n");
  age(folder / "runs/earlier", 30);
  // And as a summary of something else has it.
  std::filesystem::create_directories(folder / "runs/odd");
  folder.write("runs/odd/config.json", R"({"experiment": "train", "arguments": []})");
  folder.write("runs/odd/summary.json", R"({"method": 7, "tasks": [1]})");
  age(folder / "runs/odd", 40);

  const auto list = bench.run({"runs"});
  CAPTURE(list.out);
  CHECK(list.code == 0);
  const auto lines = lines_of(list.out);
  REQUIRE(lines.size() == 6);
  CHECK(lines[1].starts_with("new "));
  CHECK(lines[2].starts_with("both/inner "));
  CHECK(lines[3].starts_with("old "));
  CHECK(lines[4].starts_with("earlier "));
  CHECK(lines[5].starts_with("odd "));
  const auto summary = json::parse(folder.read("runs/new/summary.json"));
  CHECK(contains(lines[1], fmt::format("lora    train  accuracy {:.3f}  finished",
                                       summary["tasks"]["test"]["accuracy"].get<double>())));
  CHECK(contains(lines[4], "red "));
  CHECK(contains(lines[4], "a, b "));
  CHECK(contains(lines[4], "unfinished, step 3 "));

  // A run that another process works in, and one that was interrupted.
  auto changed = summary;
  changed["interrupted"] = true;
  changed["total_steps"] = 9;
  folder.write("runs/new/summary.json", changed.dump());
  const csreft::ProcessLock lock(folder / "runs/old");
  const auto again = bench.run({"runs"}).out;
  CHECK(contains(line_of(again, "new"), "unfinished, step 2 of 9 "));
  CHECK(contains(line_of(again, "old"), "running, step 2 of 2 "));
  check_refused(bench, {"runs", "absent"}, "absent is not a folder");
}

TEST_CASE("--adapter last is the newest run with an adapter, and says which") {
  const Bench bench;
  const Words ask{"generate", "--quiet", "--model", "model", "--prompt", "A", "--max-new-tokens", "1"};
  const auto with = [&](const Words& more) {
    Words words = ask;
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  check_refused(bench, with({"--adapter", "last"}), "no run in " + (bench.chat.folder / "runs").string());
  REQUIRE(bench.run(run_in(bench, "old")).code == 0);
  REQUIRE(bench.run(run_in(bench, "new", {{"--method", "lora"}})).code == 0);
  age(bench.chat.folder / "runs/old", 5);
  CHECK(bench.run(with({"--adapter", "last"})).err == "note: --adapter last is runs/new\n");
  CHECK(bench.run(with({"--adapter", "a=last", "--adapter", "b=runs/old", "--use", "a"})).err ==
        "note: --adapter last is runs/new\n");
  const auto scored = bench.run(
      {"evaluate", "--quiet", "--model", "model", "--adapter", "last", "--test", "test.json", "--out", "scores.json"});
  CHECK(scored.code == 0);
  CHECK(json::parse(bench.chat.folder.read("scores.json"))["adapter"] == "runs/new");
  CHECK(bench.run({"merge", "--model", "model", "--adapter", "last", "--out", "merged"}).code == 0);
  CHECK(bench.run({"inspect", "--model", "model", "--adapter", "last", "--prompt", "A"}).code == 0);
  // The newest has none: the one before it.
  std::filesystem::remove_all(bench.chat.folder / "runs/new/adapter");
  CHECK(bench.run(with({"--adapter", "last"})).err == "note: --adapter last is runs/old\n");
  // A folder of that name is that folder.
  std::filesystem::copy(bench.chat.folder / "runs/old", bench.chat.folder / "last",
                        std::filesystem::copy_options::recursive);
  CHECK(bench.run(with({"--adapter", "last"})).err.empty());
}

TEST_CASE("compare shows runs side by side, in pairs where they answered the same examples") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  folder.write("other.json", letter_json(3));
  for (const char* name : {"a", "b"}) {
    Words words = run_in(bench, name, {{"--validation", "0.25"}, {"--seed", name[0] == 'a' ? "1" : "2"}});
    words.insert(words.end(), {"--test", "other.json"});
    REQUIRE(bench.run(words).code == 0);
  }
  // b answers two of four right that a answers wrong, and one of three the other way round.
  const auto answer = [&](const std::string& run, const std::vector<bool>& correct) {
    std::istringstream in(folder.read(run + "/answers.jsonl"));
    std::string lines;
    auto summary = json::parse(folder.read(run + "/summary.json"));
    std::map<std::string, double> right;
    std::size_t i = 0;
    for (std::string line; std::getline(in, line); ++i) {
      auto values = json::parse(line);
      values["correct"] = static_cast<bool>(correct[i]);
      right[values["task"].get<std::string>()] += correct[i] ? 1 : 0;
      lines += values.dump() + "\n";
    }
    REQUIRE(i == correct.size());
    for (const auto& [task, count] : right) {
      summary["tasks"][task]["accuracy"] = count / summary["tasks"][task]["n"].get<double>();
    }
    folder.write(run + "/answers.jsonl", lines);
    folder.write(run + "/summary.json", summary.dump());
  };
  answer("runs/a", {true, false, false, false, true, true, false});
  answer("runs/b", {true, true, true, false, false, true, false});
  const auto compared = bench.run({"compare", "runs/a", "b", "--out", "out"});
  CAPTURE(compared.err);
  REQUIRE(compared.code == 0);
  // test: differences 0 1 1 0, mean .5, sqrt((4 * .25) / 3 / 4) = .289; other: -1 0 0, mean -1/3, sqrt(2/3 / 2 / 3).
  CHECK(contains(compared.out, "b    test           +0.500 +- 0.289"));
  CHECK(contains(compared.out, "b    other          -0.333 +- 0.333"));
  CHECK(contains(compared.out, "b    mean accuracy  +0.083 +- 0.220"));
  CHECK(contains(compared.out, "the same examples, in pairs"));
  const auto rows = lines_of(folder.read("out/compare.tsv"));
  REQUIRE(rows.size() == 7);  // a header, two tasks and their mean of each
  CHECK(std::ranges::any_of(rows, [](const std::string& row) {
    return row.starts_with("b\tloreft\t") && contains(row, "\ttest\taccuracy\t0.750000\t4\t") &&
           contains(row, "\t0.500000\t0.288675\t\t\tthe same examples, in pairs");
  }));
  const std::string page = folder.read("out/compare.html");
  CHECK(contains(page, "<h2>Differences from a</h2>"));
  CHECK(contains(page, "+50.0 ± 28.9"));
  CHECK(contains(page, "<h2>Validation</h2>"));
  CHECK(contains(page, "untrained"));
  // The same every time.
  REQUIRE(bench.run({"compare", "runs/a", "b", "--out", "again"}).code == 0);
  CHECK(folder.read("again/compare.tsv") == folder.read("out/compare.tsv"));

  // Without the answers of one: by the scores alone. sqrt(.25 .75 / 4 + .75 .25 / 4) = .306.
  std::filesystem::remove(folder / "runs/b/answers.jsonl");
  auto old = json::parse(folder.read("runs/b/summary.json"));
  for (const char* key : {"untrained", "total_steps", "train_cross_entropy"}) old.erase(key);
  folder.write("runs/b/summary.json", old.dump());
  std::filesystem::remove(folder / "runs/b/.csreft-run");
  std::filesystem::remove(folder / "runs/b/validation.jsonl");
  const auto by_scores = bench.run({"compare", "a", "b"});
  CAPTURE(by_scores.err);
  CHECK(by_scores.code == 0);
  CHECK(contains(by_scores.out, "+0.500 +- 0.306 "));
  CHECK(contains(by_scores.out, "the two scores alone (binomial)"));
  CHECK(contains(by_scores.out, "table: runs/compare-"));
}

TEST_CASE("compare shows the options that are not the same in all runs, in a table or, of many, in a line a run") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  REQUIRE(bench.run(run_in(bench, "a")).code == 0);
  REQUIRE(bench.run(run_in(bench, "b", {{"--rank", "3"}, {"--lr", "0.5"}, {"--examples", "4"}})).code == 0);
  REQUIRE(bench.run(run_in(bench, "c", {{"--method", "csreft"}, {"--subspaces", "2"}})).code == 0);
  std::filesystem::copy(folder / "runs/a", folder / "runs/same", std::filesystem::copy_options::recursive);
  CHECK(contains(bench.run({"compare", "a", "same"}).out, "the runs have the same options\n"));

  const auto two = bench.run({"compare", "a", "b", "--out", "two"});
  CAPTURE(two.out);
  REQUIRE(two.code == 0);
  CHECK(contains(two.out, "options that differ  examples  lr     rank\n"));
  CHECK(contains(two.out, "\na                    -         0.004  2\n"));
  CHECK(contains(two.out, "\nb                    4         0.5    3\n"));
  CHECK(contains(folder.read("two/compare.html"), "<dt>b</dt><dd>loreft; examples 4, lr 0.5, rank 3</dd>"));

  const auto three = bench.run({"compare", "a", "b", "c"});
  CAPTURE(three.out);
  REQUIRE(three.code == 0);
  CHECK(contains(three.out, "options that differ\n  a: "));
  CHECK(std::regex_search(three.out, std::regex("\n  b: .*examples 4, .*lr 0\\.5, .*rank 3")));
  CHECK(std::regex_search(three.out, std::regex("\n  c: .*gate top1, .*subspaces 2")));
  CHECK_FALSE(std::regex_search(three.out, std::regex("\n  [abc]: .*epochs")));

  // Of a run of an earlier version less is known.
  folder.write("runs/b/config.json", R"({"experiment": "train", "arguments": ["--examples", "9", "--train", "x"]})");
  CHECK(contains(bench.run({"compare", "a", "b"}).out, "  b: examples 9, train x\n"));
}

TEST_CASE("answers that are not those of the scores, or to other examples, are not paired") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  for (const char* name : {"a", "b"}) REQUIRE(bench.run(run_in(bench, name)).code == 0);
  CHECK(contains(bench.run({"compare", "a", "b"}).out, "in pairs"));
  auto lines = lines_of(folder.read("runs/b/answers.jsonl"));
  auto first = json::parse(lines[0]);
  first["instruction"] = "another";
  std::string changed = first.dump() + "\n";
  for (std::size_t i = 1; i < lines.size(); ++i) changed += lines[i] + "\n";
  folder.write("runs/b/answers.jsonl", changed);
  CHECK_FALSE(contains(bench.run({"compare", "a", "b"}).out, "in pairs"));
  folder.write("runs/b/answers.jsonl", lines[0] + "\n");  // fewer than the score is of
  CHECK_FALSE(contains(bench.run({"compare", "a", "b"}).out, "in pairs"));
}

TEST_CASE("compare refuses what is no run, and one run alone") {
  const Bench bench;
  REQUIRE(bench.run(run_in(bench, "a")).code == 0);
  check_refused(bench, {"compare", "a"}, "there are 1 runs to compare: expected two or more");
  check_refused(bench, {"compare", "a", "runs/a"}, "the run runs/a is named twice");
  check_refused(bench, {"compare", "a", "model"}, "model is not the folder of a run");
  check_refused(bench, {"compare", "a", "absent"}, "absent is not the folder of a run");
  std::filesystem::create_directories(bench.chat.folder / "runs/begun");
  bench.chat.folder.write("runs/begun/config.json", R"({"experiment": "train", "arguments": []})");
  check_refused(bench, {"compare", "a", "begun"}, "begun has no summary.json");
  bench.chat.folder.write("runs/begun/summary.json", R"({"tasks": 7})");
  check_refused(bench, {"compare", "a", "begun"}, "the tasks are number");
}
