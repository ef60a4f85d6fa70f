#include "core/base/temporary.h"

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

TEST_CASE("temporary names are those of the writers of files and folders, of any process") {
  const auto own = csreft::temporary_path("folder/a.tmp-b", 2);
  CHECK(own == "folder/a.tmp-b.tmp-" + std::to_string(::getpid()) + "-2");
  CHECK(csreft::is_temporary(own));
  CHECK(csreft::is_temporary("a.tmp-7-0"));
  for (const char* name :
       {"a", "a.tmp-", "a.tmp-7", "a.tmp-7-", "a.tmp-7-x", "a.tmp-x-0", "a.tmp-0-0", "a.tmp-7-0.json"}) {
    CAPTURE(name);
    CHECK_FALSE(csreft::is_temporary(name));
  }
}

TEST_CASE("who holds a folder's lock removes all that is temporary in it, and nothing else") {
  const TemporaryFolder folder;
  for (const char* name : {"a.tmp-7-0", "a.tmp-1-12", "a.tmp-notes", "a"}) folder.write(name, "1");
  folder.write(csreft::temporary_path("b", 0), "1");
  std::filesystem::create_directories(folder / "adapter.tmp-7-0/in");
  csreft::remove_temporaries(folder.path());
  CHECK(folder.count() == 2);
  CHECK(std::filesystem::exists(folder / "a.tmp-notes"));
  CHECK(std::filesystem::exists(folder / "a"));
  csreft::remove_temporaries("/nowhere");
}
