#include "experiments/cli/progress.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <ctime>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "experiments/cli/terminal.h"

namespace csreft {
namespace {

using namespace std::chrono_literals;

constexpr auto terminal_interval = 100ms;
constexpr auto log_interval = 10s;

// Two signals within this time are one request: GNU timeout and some schedulers signal the process and its group.
constexpr double one_request_seconds = 1.0;

volatile std::sig_atomic_t n_signals = 0;
volatile std::sig_atomic_t first_is_terminate = 0;
timespec first_signal;  // when it came; only signal handlers, which do not interrupt each other, use it
volatile std::sig_atomic_t save_is_wanted = 0;
// oneDNN's sgemm lets the stack pointer of the thread that computes point into the heap, where a signal's frame would
// overwrite what is not its own: signals, which Linux gives to the main thread, are handled on a stack of their own.
alignas(64) std::array<std::byte, std::size_t{1} << 16U> signal_stack;
stack_t former_stack;
struct sigaction former_interrupt;
struct sigaction former_terminate;
struct sigaction former_hang_up;

extern "C" void note_signal(int signal) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  if (n_signals == 0) {
    first_signal = now;
    first_is_terminate = signal == SIGTERM ? 1 : 0;
    n_signals = 1;
    return;
  }
  const double seconds = static_cast<double>(now.tv_sec - first_signal.tv_sec) +
                         1e-9 * static_cast<double>(now.tv_nsec - first_signal.tv_nsec);
  if (seconds < one_request_seconds) return;
  // A second request: what would have happened without a handler.
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

extern "C" void note_hang_up(int /*signal*/) { save_is_wanted = 1; }

std::string clock_time(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

std::string progress_line(std::string_view name, const StepCount& steps, double units, std::string_view unit,
                          double seconds, std::string_view text, std::size_t width) {
  constexpr std::int64_t longest_bar = 20, shortest_bar = 5;
  const std::int64_t whole = std::max<std::int64_t>(steps.total, 1);
  const std::int64_t reached = std::clamp<std::int64_t>(steps.done, 0, whole);
  const std::int64_t here = reached - steps.before;
  std::string line = fmt::format(" {:3} %", reached * 100 / whole);
  if (!unit.empty() && seconds > 0)
    line += fmt::format("   {:.{}f} {}/s", units / seconds, units < 100 * seconds ? 1 : 0, unit);
  if (reached == whole) {
    line += fmt::format("   {} {}", clock_time(seconds), steps.before > 0 ? "in this start" : "in all");
  } else if (here > 0) {
    const auto left = static_cast<double>(whole - reached) * seconds / static_cast<double>(here);
    line += fmt::format("   {} left", clock_time(left));
  }
  if (!text.empty()) line += fmt::format("   {}", text);
  // In a narrow terminal the bar gives way to the numbers.
  const auto others = static_cast<std::int64_t>(name.size() + 2 + line.size());
  const std::int64_t bar = std::clamp(static_cast<std::int64_t>(width) - others, shortest_bar, longest_bar);
  const auto filled = static_cast<std::size_t>(reached * bar / whole);
  line = fmt::format("{}  {:#<{}}{:-<{}}{}", name, "", filled, "", static_cast<std::size_t>(bar) - filled, line);
  if (line.size() > width) line.resize(width);
  return line;
}

Progress::Progress(std::string name, std::int64_t total, std::string unit, bool quiet, std::FILE* out,
                   std::int64_t before)
    : name_(std::move(name)),
      steps_{.done = before, .total = total, .before = before},
      unit_(std::move(unit)),
      out_(out),
      quiet_(quiet),
      terminal_(::isatty(::fileno(out)) != 0) {}

Progress::~Progress() { finish(); }

void Progress::update(std::int64_t done, double units, std::string_view text) {
  if (quiet_) return;
  steps_.done = done;
  units_ = units;
  text_ = text;
  const auto now = Clock::now();
  const bool due = terminal_ ? !shown_ || now - last_shown_ >= terminal_interval : now - last_shown_ >= log_interval;
  if (due) show(now);
}

void Progress::show(Clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const std::size_t width = terminal_ ? terminal_width(out_) - 1 : 200;
  const std::string line = progress_line(name_, steps_, units_, unit_, seconds, text_, width);
  fmt::print(out_, "{}{}{}", terminal_ ? "\r\x1b[K" : "", line, terminal_ ? "" : "\n");
  std::fflush(out_);
  shown_ = true;
  shown_done_ = steps_.done;
  last_shown_ = now;
}

void Progress::finish() {
  // A log hears of the end only if it has heard of the beginning.
  if (!std::exchange(quiet_, true) && shown_) {
    if (terminal_ || shown_done_ != steps_.done) show(Clock::now());
    if (terminal_) fmt::print(out_, "\n");
  }
}

InterruptGuard::InterruptGuard() {
  n_signals = 0;
  save_is_wanted = 0;
  stack_t own_stack{};
  own_stack.ss_sp = signal_stack.data();
  own_stack.ss_size = signal_stack.size();
  ::sigaltstack(&own_stack, &former_stack);
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  ::sigemptyset(&action.sa_mask);
  ::sigaddset(&action.sa_mask, SIGINT);
  ::sigaddset(&action.sa_mask, SIGTERM);
  ::sigaction(SIGINT, &action, &former_interrupt);
  ::sigaction(SIGTERM, &action, &former_terminate);
  action.sa_handler = note_hang_up;
  ::sigaction(SIGHUP, &action, &former_hang_up);
}

InterruptGuard::~InterruptGuard() {
  ::sigaction(SIGINT, &former_interrupt, nullptr);
  ::sigaction(SIGTERM, &former_terminate, nullptr);
  ::sigaction(SIGHUP, &former_hang_up, nullptr);
  ::sigaltstack(&former_stack, nullptr);
}

bool interrupted() { return n_signals != 0; }

bool terminated() { return interrupted() && first_is_terminate != 0; }

bool take_save_request() {
  const bool wanted = save_is_wanted != 0;
  save_is_wanted = 0;
  return wanted;
}

}  // namespace csreft
