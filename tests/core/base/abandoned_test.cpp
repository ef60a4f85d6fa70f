#include "core/base/abandoned.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/temporary_folder.h"

TEST_CASE("what killed processes have left of a file is removed, and nothing else") {
  const TemporaryFolder folder;
  // Of a process that has ended, and of this one.
  const pid_t ended = ::fork();
  if (ended == 0) ::_exit(0);
  ::waitpid(ended, nullptr, 0);
  const std::string dead = std::to_string(ended), own = std::to_string(::getpid());
  for (const auto& name :
       std::vector<std::string>{"a.tmp-" + dead + "-0", "a.tmp-" + own + "-0", "b.tmp-" + dead + "-0", "a.tmp-x-0",
                                "a.tmp-" + dead, "a", "a.tmp-0-0"}) {
    folder.write(name, "1");
  }
  std::filesystem::create_directories(folder / ("a.tmp-" + dead + "-1/in"));
  csreft::remove_abandoned(folder / "a");
  CHECK_FALSE(std::filesystem::exists(folder / ("a.tmp-" + dead + "-0")));
  CHECK_FALSE(std::filesystem::exists(folder / ("a.tmp-" + dead + "-1")));
  CHECK(folder.count() == 6);
  csreft::remove_abandoned("/nowhere/a");
}
