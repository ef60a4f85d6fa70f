// A folder with a small model and data, in which the built programme runs as a user runs it.
#pragma once

#include <algorithm>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/error_text.h"
#include "tests/program.h"
#include "tests/tiny_chat.h"

using Words = std::vector<std::string>;
using Snapshot = std::map<std::string, std::string>;

// Every file, with its bytes, and every folder below `root`.
inline Snapshot snapshot(const std::filesystem::path& root) {
  Snapshot files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    std::ifstream file(entry.path(), std::ios::binary);
    files[entry.path().string()] = entry.is_directory() ? "/" : std::string(std::istreambuf_iterator<char>(file), {});
  }
  return files;
}

// A model and two files of data in one folder, in which the programme runs.
struct Bench {
  TinyChat chat{};

  Bench() {
    chat.folder.write("train.json", letter_json(8));
    chat.folder.write("test.json", letter_json(4));
  }

  // A training run of two steps; flags in `changes` take the place of its own.
  Words train(const std::map<std::string, std::string>& changes = {}) const {
    std::map<std::string, std::string> flags{{"--model", "model"},   {"--train", "train.json"}, {"--out", "run"},
                                             {"--method", "loreft"}, {"--rank", "2"},           {"--layers", "1"},
                                             {"--epochs", "1"},      {"--batch", "4"},          {"--threads", "1"}};
    for (const auto& [flag, value] : changes) flags[flag] = value;
    Words words{"train", "--quiet"};
    for (const auto& [flag, value] : flags) words.insert(words.end(), {flag, value});
    return words;
  }
  ProgramResult run(const Words& words, std::size_t largest_file = 0) const {
    return run_program(words, {.folder = chat.folder.path(), .largest_file = largest_file});
  }
};

inline bool is_one_error_line(const std::string& text) {
  return text.starts_with("error: ") && text.ends_with("\n") && std::count(text.begin(), text.end(), '\n') == 1 &&
         std::none_of(text.begin(), text.end() - 1, [](char c) { return (c >= 0 && c < ' ') || c == 0x7F; });
}

// Checks that the command fails as all do, leaves every file as it is, and says `part`.
inline void check_refused(const Bench& bench, const Words& words, const std::string& part) {
  const Snapshot before = snapshot(bench.chat.folder.path());
  const ProgramResult result = bench.run(words);
  CAPTURE(words);
  CAPTURE(result.err);
  CHECK(result.code == 2);
  CHECK(is_one_error_line(result.err));
  CHECK(contains(result.err, part));
  CHECK(snapshot(bench.chat.folder.path()) == before);
}
