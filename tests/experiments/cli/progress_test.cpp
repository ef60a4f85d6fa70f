#include "experiments/cli/progress.h"

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

using csreft::progress_line;

TEST_CASE("a progress line shows the share, the rate and the time left") {
  const std::string line = progress_line("train", {50, 200}, 6000, "tok", 60, "loss 0.7312", 200);
  CHECK(line == "train  #####---------------  25 %   100 tok/s   3:00 left   loss 0.7312");
}

TEST_CASE("a progress line ends with the whole time, and fits the terminal") {
  CHECK(progress_line("train", {200, 200}, 0, "", 3725, "", 200) ==
        "train  #################### 100 %   1:02:05 in all");
  CHECK(progress_line("train", {200, 200}, 0, "", 3725, "", 12) == "train  #####");
  CHECK(progress_line("train", {50, 200}, 6000, "tok", 60, "loss 0.7312", 57) ==
        "train  #-----  25 %   100 tok/s   3:00 left   loss 0.7312");
}

TEST_CASE("a progress line says nothing that it cannot know") {
  CHECK(progress_line("train", {0, 10}, 0, "tok", 0, "", 200) == "train  --------------------   0 %");
  CHECK(progress_line("train", {0, 0}, 0, "", 1, "", 200) == "train  --------------------   0 %");
  CHECK(progress_line("train", {15, 10}, 0, "", 1, "", 200) == "train  #################### 100 %   0:01 in all");
}

TEST_CASE("a progress line of what goes on shows the bar of the whole, and the rate and time left of this start") {
  // 50 of 200 steps were there; 50 more took 60 seconds.
  const std::string line = progress_line("train", {100, 200, 50}, 6000, "tok", 60, "", 200);
  CHECK(line == "train  ##########----------  50 %   100 tok/s   2:00 left");
  CHECK(progress_line("train", {50, 200, 50}, 0, "", 1, "", 200) == "train  #####---------------  25 %");
  CHECK(progress_line("train", {200, 200, 50}, 0, "", 60, "", 200) ==
        "train  #################### 100 %   1:00 in this start");
}

TEST_CASE("short work leaves no trace in a log") {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> log(std::tmpfile(), std::fclose);
  REQUIRE(log != nullptr);
  {
    csreft::Progress progress("train", 100, "tok", false, log.get());
    for (int step = 1; step <= 100; ++step) progress.update(step, 10.0 * step);
  }
  CHECK(std::ftell(log.get()) == 0);
}

TEST_CASE("the first signal only sets a flag, which the next guard clears") {
  {
    const csreft::InterruptGuard guard;
    CHECK_FALSE(csreft::interrupted());
    std::raise(SIGINT);
    CHECK(csreft::interrupted());
  }
  const csreft::InterruptGuard guard;
  CHECK_FALSE(csreft::interrupted());
}

namespace {

// How a process ends (waitpid's status) that gets two signals, so many microseconds apart; if it survives, with exit
// code 0 where it is interrupted.
int status_after(int first, int second, useconds_t apart) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const csreft::InterruptGuard guard;
    std::raise(first);
    ::usleep(apart);
    std::raise(second);
    ::_exit(csreft::interrupted() ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

}  // namespace

TEST_CASE("signals are handled on a stack of their own, whatever the stack pointer is used for when they come") {
  stack_t outside{}, inside{}, after{};
  REQUIRE(::sigaltstack(nullptr, &outside) == 0);
  {
    const csreft::InterruptGuard guard;
    REQUIRE(::sigaltstack(nullptr, &inside) == 0);
    CHECK((inside.ss_flags & SS_DISABLE) == 0);
    CHECK(inside.ss_size >= static_cast<std::size_t>(::sysconf(_SC_SIGSTKSZ)));
    CHECK(inside.ss_sp != outside.ss_sp);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      struct sigaction action {};
      REQUIRE(::sigaction(signal, nullptr, &action) == 0);
      CHECK((action.sa_flags & SA_ONSTACK) != 0);
    }
  }
  REQUIRE(::sigaltstack(nullptr, &after) == 0);
  CHECK(after.ss_sp == outside.ss_sp);
}

TEST_CASE("a second signal within a second is the same request") {
  for (const auto& [first, second] : {std::pair{SIGTERM, SIGTERM}, {SIGINT, SIGTERM}}) {
    const int status = status_after(first, second, 1000);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
}

TEST_CASE("a second signal that comes later ends the process") {
  const int status = status_after(SIGTERM, SIGTERM, 1'100'000);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGTERM);
}

TEST_CASE("a hang-up asks once for a save, and interrupts nothing") {
  const csreft::InterruptGuard guard;
  CHECK_FALSE(csreft::take_save_request());
  std::raise(SIGHUP);
  CHECK(csreft::take_save_request());
  CHECK_FALSE(csreft::take_save_request());
  CHECK_FALSE(csreft::interrupted());
}
