// What a long command shows while it works, and how it is stopped without loss.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace csreft {

inline double seconds_since(std::chrono::steady_clock::time_point moment) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - moment).count();
}

// Steps of a work, of which an earlier start has done the first `before`.
struct StepCount {
  std::int64_t done, total, before = 0;
};

// One line of `name`, bar, share, rate, time left and `text`, at most `width` characters:
//   train  ######------  50 %   1234 tok/s   0:42 left   loss 0.7312
// The bar is that of all steps. Those of this start took `seconds`, in which `units` of what `unit` names (`tok`; "":
// no rate) were worked off.
std::string progress_line(std::string_view name, const StepCount& steps, double units, std::string_view unit,
                          double seconds, std::string_view text, std::size_t width);

// Shows a progress line on `out`: rewritten in place, ten times a second at most, on a terminal; elsewhere a new line
// every ten seconds, so that a log stays short. Nothing at all when `quiet`.
class Progress {
 public:
  // `before` of the steps were done by an earlier start: the rate and the time left are those of the others.
  Progress(std::string name, std::int64_t total, std::string unit = "", bool quiet = false, std::FILE* out = stderr,
           std::int64_t before = 0);
  // Ends the line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` steps of all, and `units` units since this start, are behind us; `text` is what else is worth seeing.
  void update(std::int64_t done, double units = 0, std::string_view text = "");
  // Shows the last update and ends the line; later calls do nothing.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  void show(Clock::time_point now);

  std::string name_;
  StepCount steps_;
  std::string unit_;
  std::FILE* out_;
  bool quiet_;
  bool terminal_;
  bool shown_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_shown_ = start_;
  std::int64_t shown_done_ = 0;
  double units_ = 0;
  std::string text_;
};

// While one lives, the first SIGINT or SIGTERM only makes interrupted() true, and one that comes a second later or more
// ends the process; those in between are the same request. SIGHUP only asks for a save. At most one lives at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  // Puts the former handlers back.
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

// Whether a signal has arrived since the latest InterruptGuard was made.
bool interrupted();
// Whether that was SIGTERM, by which somebody else ends the process.
bool terminated();
// Whether SIGHUP has arrived since the last call.
bool take_save_request();

}  // namespace csreft
