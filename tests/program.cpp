#include "tests/program.h"

#include "core/base/child_process.h"
#include "tests/source.h"

ProgramResult run_program(const std::vector<std::string>& arguments, const ProgramOptions& options) {
  std::vector<std::string> words{tested_program()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const auto child = csreft::run_child(words, {.folder = options.folder,
                                               .input = options.input,
                                               .out_file = options.out_file,
                                               .errors_apart = true,
                                               .largest_file = options.largest_file,
                                               .signal = options.signal,
                                               .signal_after = options.signal_after_ms * 1e-3});
  return {child.code, child.output, child.errors};
}
