#include "tests/program.h"

#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/source.h"
#include "tests/temporary_folder.h"

namespace {

void redirect(int descriptor, const std::filesystem::path& file) {
  const int opened = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (opened < 0 || ::dup2(opened, descriptor) < 0) ::_exit(127);
}

// In the child: never returns.
[[noreturn]] void execute(std::vector<char*>& arguments, const ProgramOptions& options,
                          const std::filesystem::path& out, const std::filesystem::path& err) {
  redirect(STDOUT_FILENO, out);
  redirect(STDERR_FILENO, err);
  if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) ::_exit(127);
  if (options.largest_file > 0) {
    // Without the signal, writing beyond the limit fails as it does on a full disk.
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{options.largest_file, options.largest_file};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(127);
  }
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

// Sends the signal at its time. The process is not waited for, so its number stays its own.
void send_signal(pid_t child, const ProgramOptions& options) {
  if (options.signal == 0) return;
  ::usleep(static_cast<useconds_t>(options.signal_after_ms) * 1000U);
  ::kill(child, options.signal);
}

}  // namespace

ProgramResult run_program(const std::vector<std::string>& arguments, const ProgramOptions& options) {
  const TemporaryFolder captured;
  const auto out = options.out_file.empty() ? captured / "out" : options.out_file;
  const auto err = captured / "err";
  std::string program = tested_program();
  std::vector<std::string> words = arguments;
  std::vector<char*> pointers{program.data()};
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);

  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("no process for the test");
  if (child == 0) execute(pointers, options, out, err);
  send_signal(child, options);
  int status = 0;
  if (::waitpid(child, &status, 0) != child) throw std::runtime_error("the test's process is lost");

  ProgramResult result;
  result.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  if (result.code == 127) throw std::runtime_error("cannot run " + program);
  if (options.out_file.empty()) result.out = captured.read("out");
  result.err = captured.read("err");
  return result;
}
