// Readers of files from strangers, as a fuzzer drives them. To add one: a file beside this one, and its name in
// tests/meson.build.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/temporary_folder.h"

namespace csreft {

struct FuzzTarget {
  std::string_view name;
  std::string_view summary;  // what is read
  // Whole inputs that are read without an error, from which a fuzzer goes on.
  std::vector<std::string> (*seeds)();
  // Reads an input, and uses what it holds as a run would. Throws Error for a bad one; whatever else happens is
  // a finding.
  void (*read)(std::string_view input);
};

std::span<const FuzzTarget* const> fuzz_targets();

// Whether the input was read; false where the target throws an Error. Throws std::runtime_error for one without a text,
// and lets all other exceptions through: they are findings.
bool check_reading(const FuzzTarget& target, std::string_view input);

// An input of two files: a text, a zero byte, and what follows it.
std::string two_files(std::string_view text, std::string_view bytes);
// The bytes are empty where there is no zero byte.
std::pair<std::string_view, std::string_view> two_files_of(std::string_view input);

// A folder for all inputs of one process, whose files each input replaces.
const TemporaryFolder& fuzz_folder();

}  // namespace csreft
