#include "core/base/child_process.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"

namespace csreft {
namespace {

constexpr int cannot_execute = 127;

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// Not inherited by other children.
File checked_file(std::FILE* opened, const std::string& program) {
  File file(opened, std::fclose);
  require(file != nullptr && ::fcntl(::fileno(opened), F_SETFD, FD_CLOEXEC) == 0, "no file for what {} writes: {}",
          program, std::strerror(errno));
  return file;
}

File file_with(const std::string& text, const std::string& program) {
  File file = checked_file(std::tmpfile(), program);
  require(std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() && std::fflush(file.get()) == 0,
          "cannot write what {} reads: {}", program, std::strerror(errno));
  std::rewind(file.get());
  return file;
}

std::string contents(std::FILE* file) {
  std::string text;
  std::array<char, 4096> buffer{};
  std::rewind(file);
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), file)) text.append(buffer.data(), n);
  return text;
}

bool limit_resource(__rlimit_resource resource, std::size_t bytes) {
  const rlimit limit{bytes, bytes};
  return bytes == 0 || ::setrlimit(resource, &limit) == 0;
}

// In the child of process `parent`, after the fork: only what is safe there.
[[noreturn]] void execute(char* const* words, const ChildOptions& options, pid_t parent, int in, int out, int err) {
  bool ready = ::dup2(in, STDIN_FILENO) >= 0 && ::dup2(out, STDOUT_FILENO) >= 0 && ::dup2(err, STDERR_FILENO) >= 0 &&
               (options.folder.empty() || ::chdir(options.folder.c_str()) == 0);
  if (options.largest_file > 0) {
    // Without the signal, writing beyond the limit fails as it does on a full disk.
    std::signal(SIGXFSZ, SIG_IGN);
  }
  ready =
      ready && limit_resource(RLIMIT_FSIZE, options.largest_file) && limit_resource(RLIMIT_AS, options.address_space);
  if (options.own_group) ready = ready && ::setpgid(0, 0) == 0;
  if (options.ends_with_parent) {
    ready = ready && ::prctl(PR_SET_PDEATHSIG, SIGTERM) == 0;
    if (::getppid() != parent) ::_exit(128 + SIGTERM);  // it has ended before it could be waited for
  }
  if (ready) ::execv(words[0], words);
  ::_exit(cannot_execute);
}

// The status of the child's end, which this brings about where it is due.
int wait_for(pid_t child, const ChildOptions& options, bool& timed_out) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const bool may_wait = std::isinf(options.seconds) && !options.stop && !options.terminate && options.signal == 0;
  bool signalled = options.signal == 0, asked = false;
  int status = 0;
  for (;;) {
    const pid_t ended = ::waitpid(child, &status, may_wait ? 0 : WNOHANG);
    if (ended == child) return status;
    require(ended == 0 || errno == EINTR, "a child process is lost: {}", std::strerror(errno));
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    if (!signalled && elapsed >= options.signal_after) {
      ::kill(options.signal_group ? -child : child, options.signal);
      signalled = true;
    }
    if (!asked && options.terminate && options.terminate()) {
      ::kill(child, SIGTERM);
      asked = true;
    }
    timed_out = elapsed > options.seconds;
    if (timed_out || (options.stop && options.stop())) {
      ::kill(child, SIGKILL);
      while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
      }
      return status;
    }
    if (!may_wait) std::this_thread::sleep_for(std::chrono::milliseconds(signalled ? 5 : 1));
  }
}

}  // namespace

ChildResult run_child(const std::vector<std::string>& arguments, const ChildOptions& options) {
  const std::string& program = arguments[0];
  const File in = file_with(options.input, program);
  const bool keeps_output = options.out_file.empty();
  const File out = checked_file(keeps_output ? std::tmpfile() : std::fopen(options.out_file.c_str(), "w"), program);
  const File err = checked_file(std::tmpfile(), program);
  std::vector<std::string> texts = arguments;
  std::vector<char*> words;
  for (auto& text : texts) words.push_back(text.data());
  words.push_back(nullptr);

  const int out_descriptor = ::fileno(out.get());
  const int err_descriptor = options.errors_apart ? ::fileno(err.get()) : out_descriptor;
  const pid_t parent = ::getpid(), child = ::fork();
  if (child == 0) execute(words.data(), options, parent, ::fileno(in.get()), out_descriptor, err_descriptor);
  require(child > 0, "no process for {}: expected room for one more", program);
  // By whoever of the two comes first, so that a signal finds the group.
  if (options.own_group) static_cast<void>(::setpgid(child, child));

  ChildResult result;
  result.process = child;
  const int status = wait_for(child, options, result.timed_out);
  result.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  require(result.code != cannot_execute, "cannot run {}: expected a programme", program);
  if (keeps_output) result.output = contents(out.get());
  result.errors = contents(err.get());
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
