// The built programme, run as a user runs it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

struct ProgramResult {
  int code = 0;  // 128 + N if signal N ended it
  std::string out, err;
};

struct ProgramOptions {
  std::filesystem::path folder{};    // where it runs; empty: here
  std::string input{};               // its standard input
  std::size_t largest_file = 0;      // bytes that a file may grow to, as on a disk that fills up; 0: no limit
  std::filesystem::path out_file{};  // where its standard output goes; empty: ProgramResult::out
  int signal = 0;                    // sent to it after so many milliseconds, unless it has ended by then; 0: none
  int signal_after_ms = 0;
};

// Runs csreft with these arguments to its end. Throws Error if it cannot be started.
ProgramResult run_program(const std::vector<std::string>& arguments, const ProgramOptions& options = {});
