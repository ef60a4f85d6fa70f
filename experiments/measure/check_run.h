// One go of `./run gpu-check`: its parts in order, within a time, printed and written as they come.
#pragma once

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>

#include "core/device/device.h"
#include "experiments/measure/check_record.h"

namespace csreft {

class CheckRun {
 public:
  // Writes gpu-check.json and gpu-check.html into `folder`. With `smoke`, parts are to take tiny shapes.
  CheckRun(CheckRecord record, Device device, std::filesystem::path folder, double seconds, bool smoke,
           std::FILE* out = stdout);

  const Device& device() const { return device_; }
  bool smoke() const { return smoke_; }
  // `seconds` for a measurement in earnest, next to nothing for one that only tries the way.
  double measuring(double seconds) const { return smoke_ ? 0.0 : seconds; }
  const CheckRecord& record() const { return record_; }

  // Runs the part, unless a signal has arrived, and writes what there is then.
  void part(const std::string& name, const std::function<void()>& run);

  // Within a part. Runs a measurement that takes about `seconds`; leaves it out where that time is not left, a signal
  // has arrived or the device's memory does not hold it, and keeps another Error as a failure.
  void attempt(const std::string& what, double seconds, const std::function<void()>& measure);
  void add(Figure figure);
  void leave_out(const std::string& what_and_why);
  void fail(const std::string& what);

 private:
  double seconds_left() const;
  void print(const std::string& line) const;
  void write() const;

  CheckRecord record_;
  Device device_;
  std::filesystem::path folder_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double seconds_;
  bool smoke_;
  std::FILE* out_;
};

}  // namespace csreft
