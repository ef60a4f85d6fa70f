#include "tests/ranks.h"

#include <cstdlib>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/source.h"

bool can_start_ranks() {
  const bool can = has_mpi() && csreft::find_program("mpirun").has_value();
  if (!can) fmt::print("left out: several ranks, which need mpirun and a build with MPI\n");
  CHECK((can || std::getenv("CSREFT_EXPECT_MPI") == nullptr));
  return can;
}

std::vector<std::string> mpirun(int n) {
  // Allowed to root, as containers are; and free to run on any processor.
  ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
  ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  return {
      csreft::find_program("mpirun").value().string(), "--oversubscribe", "--bind-to", "none", "-n", std::to_string(n)};
}

csreft::ChildResult run_words(const std::vector<std::string>& words, csreft::ChildOptions options) {
  options.errors_apart = true;
  options.seconds = 60;
  const auto result = csreft::run_child(words, options);
  CAPTURE(words);
  CAPTURE(result.errors);
  CHECK_FALSE(result.timed_out);
  return result;
}
