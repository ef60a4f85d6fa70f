#pragma once

#include <cstdint>
#include <string>

// What csreft_tests --kills N does: N moments for each command, with progress on stderr; prints a table of the moments,
// the losses and the half-believed files, and each fault with how to repeat it. `name` chooses one group; empty: all.
// Returns how many groups had no fault, and how many had one.
struct KillCounts {
  unsigned passed = 0, failed = 0;
};
KillCounts print_kill_table(std::int64_t moments, std::uint64_t seed, const std::string& name);
