#include "experiments/measure/check_run.h"

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "experiments/cli/progress.h"

namespace csreft {

CheckRun::CheckRun(CheckRecord record, Device device, std::filesystem::path folder, double seconds, bool smoke,
                   std::FILE* out)
    : record_(std::move(record)),
      device_(device),
      folder_(std::move(folder)),
      seconds_(seconds),
      smoke_(smoke),
      out_(out) {}

void CheckRun::print(const std::string& line) const {
  fmt::print(out_, "{}\n", line);
  std::fflush(out_);
}

double CheckRun::seconds_left() const { return seconds_ - seconds_since(start_); }

void CheckRun::part(const std::string& name, const std::function<void()>& run) {
  if (interrupted()) {
    record_.interrupted = true;
    return write();
  }
  const auto start = std::chrono::steady_clock::now();
  print(name);
  record_.parts.push_back({.name = name});
  run();
  record_.parts.back().seconds = seconds_since(start);
  record_.interrupted = interrupted();
  write();
}

void CheckRun::attempt(const std::string& what, double seconds, const std::function<void()>& measure) {
  if (interrupted()) return leave_out(what + ": interrupted");
  if (seconds_left() < seconds) {
    return leave_out(fmt::format("{}: {:.0f} of {:.0f} seconds are left", what, seconds_left(), seconds_));
  }
  try {
    measure();
  } catch (const Error& error) {
    const std::string text = fmt::format("{}: {}", what, error.what());
    // What the allocators say; a smaller device is no failure.
    if (std::string_view(error.what()).starts_with("out of memory")) return leave_out(text);
    fail(text);
  }
}

void CheckRun::add(Figure figure) {
  print(figure_line(figure));
  record_.parts.back().figures.push_back(std::move(figure));
}

void CheckRun::leave_out(const std::string& what_and_why) {
  print("  left out: " + what_and_why);
  record_.parts.back().left_out.push_back(what_and_why);
}

void CheckRun::fail(const std::string& what) {
  print("  FAILED: " + what);
  record_.parts.back().failures.push_back(what);
}

void CheckRun::write() const {
  write_file_atomically(folder_ / "gpu-check.json", check_json(record_).dump(2) + "\n");
  write_file_atomically(folder_ / "gpu-check.html", check_page(record_));
}

}  // namespace csreft
