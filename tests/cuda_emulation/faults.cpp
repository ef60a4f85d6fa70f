#include "faults.h"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

#include "block.h"
#include "fibers.h"
#include "memory.h"

namespace csreft::emulation {
namespace {

struct sigaction former;

// Formatting is not safe in a signal handler in general; here the programme is about to end, and the emulation's own
// code, which holds no lock of the C library when it faults, is not where the signal came from.
void report(int signal, siginfo_t* info, void* context) {
  std::string text;
  if (device_memory().contains(info->si_addr)) {
    text = fmt::format("error: the host used {}, which is the device's memory: {}\n", info->si_addr,
                       device_memory().describe(info->si_addr));
  } else if (launch_is_running()) {
    text = fmt::format("error: {}: fault at {}; expected a stack of at most {} bytes\n", running_thread(),
                       info->si_addr, Fibers::stack_bytes);
  }
  if (write(STDERR_FILENO, text.data(), text.size()) < 0) std::_Exit(EXIT_FAILURE);
  if ((former.sa_flags & SA_SIGINFO) != 0 && former.sa_sigaction != nullptr) {
    former.sa_sigaction(signal, info, context);
  } else if (former.sa_handler != SIG_DFL && former.sa_handler != SIG_IGN) {
    former.sa_handler(signal);
  }
  std::signal(signal, SIG_DFL);  // the instruction is tried again, and ends the programme
}

}  // namespace

void report_faults() {
  // Kernels run on small stacks, so the handler has its own.
  static char stack[1 << 16];
  const stack_t alternative{.ss_sp = stack, .ss_flags = 0, .ss_size = sizeof stack};
  sigaltstack(&alternative, nullptr);
  struct sigaction action {};
  action.sa_sigaction = report;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, &former);
}

}  // namespace csreft::emulation
