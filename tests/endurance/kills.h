// Commands that are killed at random moments, and what must hold afterwards.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

// A command that works in a folder of its own, and may be killed at any moment.
struct KilledCommand {
  using Words = std::vector<std::string>;
  using Contents = std::map<std::string, std::string>;

  std::string name;
  // Puts what the command reads into an empty folder, in which it then runs.
  std::function<void(const std::filesystem::path&)> prepare;
  // The words of the command, or of the one that goes on after a kill has left the folder so.
  std::function<Words(const std::filesystem::path&)> words;
  // What is half made there, a line each.
  std::function<std::vector<std::string>(const std::filesystem::path&)> broken;
  // What the command has made, when it has come to its end: the same every time.
  std::function<Contents(const std::filesystem::path&)> outcome;
  // Whether it is killed at operations on files, too: it is one of this project's programmes.
  bool at_operations = true;
};

// Commands under one name, which share its moments.
struct KilledGroup {
  std::string name;
  std::vector<KilledCommand> commands;
};

struct KillTally {
  std::int64_t by_time = 0;           // kills at a moment of the command's duration
  std::int64_t by_operation = 0;      // kills before, or half-way through, an operation on a file
  std::int64_t ends = 0;              // commands that came to their end after all, and were compared
  std::int64_t half_files = 0;        // found after a kill
  std::int64_t losses = 0;            // commands that did not go on, or ended otherwise than one that was not killed
  std::vector<std::string> faults{};  // a text for each half file and each loss, with how to repeat it
  std::int64_t moments() const { return by_time + by_operation; }
};

struct KillOptions {
  std::int64_t moments = 20;
  std::uint64_t seed = 1;
  std::function<void(const KillTally&)> after_each{};
};

// Starts the group's commands in turn, kills each up to four times, lets it go on each time and at last come to its
// end, and compares what it has made with what a start that was left alone has made; until all moments are spent.
KillTally kill_at_random(const KilledGroup& group, const KillOptions& options);

// Of the processes that had their operations counted into this folder (CSREFT_COUNT of interposed.cpp), the most of
// one.
std::int64_t most_operations(const std::filesystem::path& counts);
