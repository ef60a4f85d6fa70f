#include "core/base/child_process.h"

#include <chrono>
#include <csignal>
#include <thread>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/error_text.h"
#include "tests/temporary_folder.h"

using csreft::run_child;

TEST_CASE("a child's output and exit code are kept, its errors where they came or apart") {
  const std::vector<std::string> words{"/bin/sh", "-c", "echo out; echo err >&2; echo more; exit 3"};
  const auto together = run_child(words);
  CHECK(together.code == 3);
  CHECK(together.output == "out\nerr\nmore\n");
  CHECK(together.errors.empty());
  CHECK_FALSE(together.timed_out);
  const auto apart = run_child(words, {.errors_apart = true});
  CHECK(apart.output == "out\nmore\n");
  CHECK(apart.errors == "err\n");
}

TEST_CASE("a child reads its input, runs in its folder and writes into its file") {
  const TemporaryFolder folder;
  CHECK(run_child({"/bin/sh", "-c", "read line; echo \"$line, $(pwd)\""}, {.folder = "/", .input = "text\n"}).output ==
        "text, /\n");
  CHECK(run_child({"/bin/sh", "-c", "read line || echo none"}).output == "none\n");
  const auto filed =
      run_child({"/bin/sh", "-c", "echo out; echo err >&2"}, {.out_file = folder / "out", .errors_apart = true});
  CHECK(filed.output.empty());
  CHECK(filed.errors == "err\n");
  CHECK(folder.read("out") == "out\n");
}

TEST_CASE("a child's files grow to the limit only") {
  const TemporaryFolder folder;
  const auto child = run_child({"/bin/sh", "-c", "echo 123456789"}, {.out_file = folder / "out", .largest_file = 4});
  CHECK(child.code != 0);
  CHECK(folder.read("out") == "1234");
}

TEST_CASE("a child that takes too long or is to stop is ended") {
  const auto slow = run_child({"/bin/sleep", "60"}, {.seconds = 0.2});
  CHECK(slow.timed_out);
  CHECK(slow.code == 128 + 9);
  int asked = 0;
  const auto stopped = run_child({"/bin/sleep", "60"}, {.stop = [&] { return ++asked == 3; }});
  CHECK_FALSE(stopped.timed_out);
  CHECK(stopped.code == 128 + 9);
}

TEST_CASE("a child maps memory to the limit only" * doctest::skip(!csreft::is_program("/bin/dd"))) {
  // dd wants 64 MiB at once.
  const std::vector<std::string> words{"/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"};
  CHECK(run_child(words).code == 0);
  CHECK(run_child(words, {.address_space = std::size_t{48} << 20}).code != 0);
}

TEST_CASE("a signal reaches the child alone, or all that it has started") {
  // The child of the child says that it has lived on.
  const TemporaryFolder folder;
  for (const bool all : {false, true}) {
    CAPTURE(all);
    const std::string file = all ? "all" : "alone";
    const auto child = run_child(
        {"/bin/sh", "-c", "(sleep 0.5; echo alive >" + file + ") & wait"},
        {.folder = folder.path(), .own_group = true, .signal_group = all, .signal = SIGKILL, .signal_after = 0.1});
    CHECK(child.code == 128 + SIGKILL);
    CHECK(child.process > 0);
  }
  std::this_thread::sleep_for(std::chrono::seconds(1));
  CHECK(folder.read("alone") == "alive\n");
  CHECK_FALSE(std::filesystem::exists(folder / "all"));
}

TEST_CASE("a child ends with its parent, where it is asked to") {
  const TemporaryFolder folder;
  const pid_t parent = ::fork();
  if (parent == 0) {
    static_cast<void>(run_child({"/bin/sh", "-c", "trap 'echo asked >asked; exit' TERM; : >begun; sleep 60 & wait"},
                                {.folder = folder.path(), .ends_with_parent = true}));
    ::_exit(0);
  }
  const auto wait_for = [&](const char* file) {
    for (int i = 0; i < 1000 && !std::filesystem::exists(folder / file); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return std::filesystem::exists(folder / file);
  };
  CHECK(wait_for("begun"));
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  CHECK(wait_for("asked"));
}

TEST_CASE("what cannot be started is named") {
  CHECK(contains(error_text([] { run_child({"/nowhere/programme"}); }), "cannot run /nowhere/programme"));
  CHECK(contains(error_text([] { run_child({"/bin/sh"}, {.out_file = "/nowhere/out"}); }), "no file for what /bin/sh"));
}
