// Comparisons of two small tasks, run as a user runs them, and their tables.
#pragma once

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/experiments/command_bench.h"

// Two tasks in the bench's folder, and the flags that all comparisons here share.
inline Words flags(const Bench& bench, const std::string& out, const std::string& rates = "") {
  for (const char* task : {"one", "two"}) {
    bench.chat.folder.write(std::string(task) + ".train.json", letter_json(10));
    bench.chat.folder.write(std::string(task) + ".test.json", letter_json(2));
  }
  return {"--model",        "model",  "--train",         "one.train.json",
          "two.train.json", "--test", "one.test.json",   "two.test.json",
          "--subspaces",    "2",      "--rank",          "2",
          "--layers",       "1",      "--router-hidden", "4",
          "--epochs",       "1",      "--batch",         "4",
          "--out",          out,      "--rates",         rates,
          "--quiet"};
}

inline Words command(Words words, const Words& more = {}, const Words& rest = {}) {
  words.insert(words.end(), more.begin(), more.end());
  words.insert(words.end(), rest.begin(), rest.end());
  return words;
}

inline std::string run(const Bench& bench, const Words& words) {
  const auto result = bench.run(words);
  CAPTURE(result.err);
  REQUIRE(result.code == 0);
  return result.out;
}

using Table = std::vector<std::map<std::string, std::string>>;

inline std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  std::istringstream stream(line);
  for (std::string word; std::getline(stream, word, '\t');) words.push_back(word);
  return words;
}

// The lines of a table, each by the names of its header.
inline Table read_table(const Bench& bench, const std::string& file) {
  std::istringstream lines(bench.chat.folder.read(file));
  std::string line;
  std::getline(lines, line);
  const auto header = words_of(line);
  Table table;
  while (std::getline(lines, line)) {
    const auto words = words_of(line);
    REQUIRE(words.size() <= header.size());
    table.emplace_back();
    for (std::size_t i = 0; i < header.size(); ++i) table.back()[header[i]] = i < words.size() ? words[i] : "";
  }
  return table;
}

inline Table without(Table table, const Words& columns) {
  for (auto& line : table) {
    for (const auto& column : columns) line.erase(column);
  }
  return table;
}
