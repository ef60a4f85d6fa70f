#include "tests/endurance/kills.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "core/base/child_process.h"
#include "core/base/error.h"
#include "core/tensor/random.h"
#include "tests/endurance/interposed.h"
#include "tests/environment.h"
#include "tests/source.h"
#include "tests/temporary_folder.h"

namespace fs = std::filesystem;

namespace {

constexpr int most_kills = 4;  // of one command on its way to its end

// When a start is killed, and what of it.
struct Moment {
  std::int64_t operation = 0;  // before this one of its operations on files; 0: by time
  bool half = false;           // a write is done by half before
  double seconds = 0.0;
  bool group = false;  // with all processes that it has started
};

std::string describe(const Moment& moment) {
  const char* what = moment.group ? "all of its processes" : "one process";
  if (moment.operation == 0) return fmt::format("{} killed after {:.3f} s", what, moment.seconds);
  return fmt::format("{} killed {} operation {} on files", what, moment.half ? "half-way through" : "before",
                     moment.operation);
}

// What a start that is left alone takes.
struct Whole {
  KilledCommand::Contents outcome;
  double seconds = 0.0;
  std::int64_t operations = 0;
};

// While one lives, processes that outlive their parent become children of this one.
struct Subreaper {
  Subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }
  ~Subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 0); }
  Subreaper(const Subreaper&) = delete;
  Subreaper& operator=(const Subreaper&) = delete;
};

// The end of all processes that a command has started.
void wait_for_group(int group) {
  int status = 0;
  while (::waitpid(-group, &status, 0) > 0 || errno == EINTR) {
  }
}

csreft::ChildResult start(const KilledCommand& command, const fs::path& folder, csreft::ChildOptions options = {}) {
  options.folder = folder;
  options.errors_apart = true;
  options.own_group = true;
  const auto result = csreft::run_child(command.words(folder), options);
  wait_for_group(result.process);
  return result;
}

// The start that the moment ends, or nothing if it came to its end before.
std::optional<csreft::ChildResult> start_until(const KilledCommand& command, const fs::path& folder,
                                               const Moment& moment, const TemporaryFolder& marks) {
  const fs::path killed = marks / "killed";
  fs::remove(killed);
  if (moment.operation == 0) {
    const auto result =
        start(command, folder, {.signal_group = moment.group, .signal = SIGKILL, .signal_after = moment.seconds});
    if (result.code == 128 + SIGKILL) return std::nullopt;
    return result;
  }
  const EnvironmentVariable library("LD_PRELOAD", interposed_library().string()),
      at("CSREFT_KILL_AT", std::to_string(moment.operation)), half("CSREFT_KILL_HALF", moment.half ? "1" : "0"),
      group("CSREFT_KILL_GROUP", moment.group ? "1" : "0"), mark("CSREFT_KILLED", killed.string());
  const auto result = start(command, folder);
  if (fs::exists(killed)) return std::nullopt;
  return result;
}

void require_success(const KilledCommand& command, const csreft::ChildResult& result) {
  csreft::require(result.code == 0, "{} ended with exit code {}: {}{}", command.name, result.code, result.errors,
                  result.output);
}

Whole run_whole(const KilledCommand& command, const TemporaryFolder& marks) {
  const TemporaryFolder folder;
  command.prepare(folder.path());
  fs::create_directories(marks / "counts");
  const EnvironmentVariable count("CSREFT_COUNT", (marks / "counts").string()),
      library("LD_PRELOAD", command.at_operations ? std::optional(interposed_library().string()) : std::nullopt);
  const auto begin = std::chrono::steady_clock::now();
  require_success(command, start(command, folder.path()));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  Whole whole{command.outcome(folder.path()), took.count(), most_operations(marks / "counts")};
  fs::remove_all(marks / "counts");
  return whole;
}

// Half of the moments lie anywhere in the duration, from before the first instruction; half at operations on files.
Moment draw_moment(const KilledCommand& command, const Whole& whole, csreft::Random& random) {
  Moment moment;
  moment.group = random.below(2) == 0;
  moment.half = random.below(2) == 0;
  moment.seconds = random.uniform() * whole.seconds;
  const bool at_operation = random.below(2) == 0;
  if (command.at_operations && whole.operations > 0 && at_operation) {
    moment.operation = 1 + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(whole.operations)));
  }
  return moment;
}

std::string first_difference(const KilledCommand::Contents& is, const KilledCommand::Contents& expected) {
  for (const auto& [file, content] : is) {
    if (!expected.contains(file)) return file + " is too much";
    if (expected.at(file) != content) return file + " differs";
  }
  for (const auto& [file, content] : expected) {
    if (!is.contains(file)) return file + " is missing";
  }
  return "";
}

// One command on its way to its end.
class Life {
 public:
  Life(const KilledCommand& command, const Whole& whole, const TemporaryFolder& marks, KillTally& tally)
      : command_(command), whole_(whole), marks_(marks), tally_(tally) {
    command_.prepare(folder_.path());
  }

  void run(csreft::Random& random, const KillOptions& options) {
    std::optional<csreft::ChildResult> ended;
    for (int kill = 0; kill < most_kills && !ended && tally_.moments() < options.moments; ++kill) {
      const Moment moment = draw_moment(command_, whole_, random);
      story_.push_back(describe(moment));
      ended = start_until(command_, folder_.path(), moment, marks_);
      if (ended) {
        story_.back() += ", if it had not ended before";
        break;
      }
      ++(moment.operation == 0 ? tally_.by_time : tally_.by_operation);
      for (const auto& line : command_.broken(folder_.path())) fault(tally_.half_files, line);
      if (options.after_each) options.after_each(tally_);
    }
    check_end(ended ? *ended : start(command_, folder_.path()));
  }

 private:
  void check_end(const csreft::ChildResult& last) {
    ++tally_.ends;
    if (last.code != 0) return fault(tally_.losses, fmt::format("exit code {}: {}", last.code, last.errors));
    const std::string difference = first_difference(command_.outcome(folder_.path()), whole_.outcome);
    if (!difference.empty()) fault(tally_.losses, difference);
  }

  void fault(std::int64_t& count, const std::string& what) {
    ++count;
    tally_.faults.push_back(fmt::format("{}: {}, after: {}", command_.name, what, fmt::join(story_, "; ")));
  }

  const KilledCommand& command_;
  const Whole& whole_;
  const TemporaryFolder& marks_;
  KillTally& tally_;
  TemporaryFolder folder_{};
  std::vector<std::string> story_{};
};

}  // namespace

std::int64_t most_operations(const fs::path& counts) {
  std::int64_t most = 0;
  for (const auto& entry : fs::directory_iterator(counts)) {
    std::int64_t number = 0;
    std::ifstream(entry.path()) >> number;
    most = std::max(most, number);
  }
  return most;
}

KillTally kill_at_random(const KilledGroup& group, const KillOptions& options) {
  const Subreaper subreaper;
  const TemporaryFolder marks;
  std::vector<std::optional<Whole>> wholes(group.commands.size());
  csreft::Random random(options.seed, /*stream=*/0);
  KillTally tally;
  for (std::size_t turn = 0; tally.moments() < options.moments; ++turn) {
    const std::size_t c = turn % group.commands.size();
    if (!wholes[c]) wholes[c] = run_whole(group.commands[c], marks);
    Life(group.commands[c], *wholes[c], marks, tally).run(random, options);
  }
  return tally;
}
