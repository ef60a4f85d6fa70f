#include "experiments/cli/child_process.h"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"
#include "experiments/cli/progress.h"

namespace csreft {
namespace {

constexpr int cannot_execute = 127;

[[noreturn]] void execute(std::vector<char*>& words, int output) {
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const bool connected = nothing >= 0 && ::dup2(nothing, STDIN_FILENO) >= 0 && ::dup2(output, STDOUT_FILENO) >= 0 &&
                         ::dup2(output, STDERR_FILENO) >= 0;
  if (connected) ::execv(words[0], words.data());
  ::_exit(cannot_execute);
}

// Appends what there is; false at the end of the output.
bool read_some(int descriptor, std::string& output) {
  constexpr int wait_ms = 100;
  pollfd waiting{.fd = descriptor, .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, wait_ms) <= 0) return true;
  std::array<char, 4096> buffer{};
  const ssize_t n = ::read(descriptor, buffer.data(), buffer.size());
  if (n > 0) output.append(buffer.data(), static_cast<std::size_t>(n));
  return n > 0;
}

}  // namespace

ChildResult run_child(const std::vector<std::string>& arguments, double seconds) {
  std::array<int, 2> ends{};
  require(::pipe2(ends.data(), O_CLOEXEC) == 0, "no pipe to {}: expected room for one more open file", arguments[0]);
  std::vector<std::string> texts = arguments;
  std::vector<char*> words;
  for (auto& text : texts) words.push_back(text.data());
  words.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) execute(words, ends[1]);
  ::close(ends[1]);
  if (child < 0) ::close(ends[0]);
  require(child > 0, "no process for {}: expected room for one more", arguments[0]);

  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  ChildResult result;
  while (read_some(ends[0], result.output)) {
    result.timed_out = std::chrono::steady_clock::now() > deadline;
    if (!result.timed_out && !interrupted()) continue;
    ::kill(child, SIGKILL);
    break;
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  result.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  require(result.code != cannot_execute, "cannot run {}: expected a programme", arguments[0]);
  return result;
}

bool is_program(const std::filesystem::path& file) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(file, ignored) && ::access(file.c_str(), X_OK) == 0;
}

std::optional<std::filesystem::path> find_program(std::string_view name, std::span<const std::filesystem::path> more) {
  const char* const path = std::getenv("PATH");
  const std::string list = path == nullptr ? "" : path;
  for (std::size_t begin = 0; begin < list.size();) {
    const std::size_t end = std::min(list.find(':', begin), list.size());
    const auto file = std::filesystem::path(list.substr(begin, end - begin)) / name;
    if (is_program(file)) return file;
    begin = end + 1;
  }
  for (const auto& folder : more) {
    if (is_program(folder / name)) return folder / name;
  }
  return std::nullopt;
}

}  // namespace csreft
