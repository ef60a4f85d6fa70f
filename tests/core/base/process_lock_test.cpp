#include "core/base/process_lock.h"

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace {

std::string lock_error(const std::filesystem::path& folder) {
  return error_text([&] {
    const csreft::ProcessLock lock(folder);
    return 0;
  });
}

}  // namespace

TEST_CASE("a folder is locked once, by a process that the error names, and free again afterwards") {
  const TemporaryFolder folder;
  std::optional<csreft::ProcessLock> lock;
  lock.emplace(folder.path());
  CHECK(contains(lock_error(folder.path()), "is in use by process " + std::to_string(::getpid())));
  lock.reset();
  CHECK(folder.count() == 0);
  lock.emplace(folder.path());
}

TEST_CASE("the lock of a process that has died is free") {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    auto* const lock = new csreft::ProcessLock(folder.path());  // never released
    ::_exit(lock == nullptr ? 1 : 0);
  }
  int status = 1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  CHECK(folder.count() == 1);
  const csreft::ProcessLock lock(folder.path());
}

TEST_CASE("whoever waits for a folder has it once it is free") {
  const TemporaryFolder folder;
  auto held = std::make_optional<csreft::ProcessLock>(folder.path());
  std::atomic<bool> has_lock = false;
  std::thread other([&] {
    const csreft::ProcessLock lock(folder.path(), csreft::IfLocked::wait);
    has_lock = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK_FALSE(has_lock);
  held.reset();
  other.join();
  CHECK(has_lock);
  CHECK(folder.count() == 0);
}

TEST_CASE("a folder that is not there cannot be locked") {
  const TemporaryFolder folder;
  CHECK(contains(lock_error(folder / "absent"), "absent"));
}

TEST_CASE("who asks whether a folder is locked makes no file, and takes no lock") {
  const TemporaryFolder folder;
  CHECK_FALSE(csreft::is_locked(folder.path()));
  CHECK_FALSE(csreft::is_locked(folder / "absent"));
  CHECK(folder.count() == 0);
  {
    const csreft::ProcessLock lock(folder.path());
    CHECK(csreft::is_locked(folder.path()));
  }
  CHECK_FALSE(csreft::is_locked(folder.path()));
  // A file that a killed process has left holds nothing.
  folder.write(csreft::lock_file_name, "1");
  CHECK_FALSE(csreft::is_locked(folder.path()));
  CHECK(lock_error(folder.path()).empty());
}
