#include "experiments/ablations/workers.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <thread>

#include "core/base/child_process.h"
#include "core/base/folder.h"
#include "core/base/threads.h"
#include "experiments/cli/progress.h"

namespace csreft {
namespace {

namespace fs = std::filesystem;

bool has_flag(Arguments arguments, const std::string& flag) {
  return std::ranges::any_of(arguments,
                             [&](const std::string& word) { return word == flag || word.starts_with(flag + "="); });
}

// The arguments without a flag and its value.
Command without_flag(Arguments arguments, const std::string& flag) {
  Command rest;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == flag) {
      ++i;
    } else if (!arguments[i].starts_with(flag + "=")) {
      rest.push_back(arguments[i]);
    }
  }
  return rest;
}

// Why a process has failed: its error, or the last it said.
std::string reason_in(const fs::path& log) {
  constexpr std::size_t most = 400;
  const std::string text = read_text_file(log), mark = "error: ";
  const std::size_t error = text.rfind(mark);
  const std::size_t begin =
      error != std::string::npos ? error + mark.size() : text.size() - std::min(most, text.size());
  return one_line(text.substr(begin));
}

}  // namespace

std::vector<Command> commands_of_jobs(const std::string& experiment, Arguments arguments, std::int64_t jobs) {
  require(jobs >= 1, "--jobs {} is not possible: expected 1 or more", jobs);
  const std::string program = fs::read_symlink("/proc/self/exe").string();
  const bool shares_threads = !has_flag(arguments, "--threads");
  const std::int64_t all = threads();
  std::vector<Command> commands;
  for (std::int64_t i = 0; i < jobs; ++i) {
    Command words = without_flag(arguments, "--jobs");
    words.insert(words.begin(), {program, experiment});
    if (shares_threads) {
      // What the division leaves goes to the first processes.
      const std::int64_t share = all / jobs + (i < all % jobs ? 1 : 0);
      words.insert(words.end(), {"--threads", std::to_string(std::max<std::int64_t>(share, 1))});
    }
    commands.push_back(std::move(words));
  }
  return commands;
}

Command command_of_hosts(const std::string& experiment, Arguments arguments, const fs::path& file) {
  require(fs::is_regular_file(file), "{} is not there: expected a file that lists machines, a line each",
          file.string());
  const auto parallel = find_program("parallel");
  require(parallel.has_value(), "--hosts needs GNU parallel: expected the programme parallel in PATH");
  std::string command = fmt::format("{} {}", command_name(), experiment);
  for (const auto& word : without_flag(arguments, "--hosts")) command += " " + shell_quoted(word);
  return {parallel->string(),
          "--will-cite",
          "--nonall",
          "--tag",
          "--line-buffer",
          "--sshloginfile",
          fs::absolute(file).string(),
          "--workdir",
          fs::current_path().string(),
          command};
}

void run_side_by_side(const std::vector<Command>& commands, const fs::path& folder, std::size_t total,
                      const std::function<std::size_t()>& count_done) {
  const fs::path logs = folder / "jobs";
  make_folder(logs);
  const std::size_t n = commands.size();
  const auto log_of = [&](std::size_t i) { return logs / fmt::format("{}.log", i + 1); };
  std::atomic<std::size_t> ended = 0;
  std::vector<ChildResult> results(n);
  std::vector<std::exception_ptr> errors(n);
  std::vector<std::jthread> waiting;
  for (std::size_t i = 0; i < n; ++i) {
    waiting.emplace_back([&, i] {
      try {
        results[i] =
            run_child(commands[i], {.out_file = log_of(i), .ends_with_parent = true, .terminate = interrupted});
      } catch (...) {
        errors[i] = std::current_exception();
      }
      ++ended;
    });
  }
  {
    Progress progress("cells", static_cast<std::int64_t>(total));
    while (ended < n) {
      progress.update(static_cast<std::int64_t>(count_done()));
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
  }
  waiting.clear();
  for (std::size_t i = 0; i < n; ++i) {
    if (errors[i]) std::rethrow_exception(errors[i]);
    require(results[i].code == 0 || interrupted(), "process {} of {} failed: {} ({})", i + 1, n, reason_in(log_of(i)),
            log_of(i).string());
  }
}

}  // namespace csreft
