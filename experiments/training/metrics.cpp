#include "experiments/training/metrics.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/base/atomic_file.h"
#include "core/base/json_file.h"
#include "core/base/whole_lines.h"

namespace csreft {

std::string metrics_line(const StepMetrics& m) {
  nlohmann::json line{{"step", m.step},
                      {"loss", m.loss},
                      {"cross_entropy", m.cross_entropy},
                      {"penalty", m.penalty},
                      {"gradient_norm", m.gradient_norm},
                      {"lr", m.lr},
                      {"tokens", m.tokens},
                      {"seconds", m.seconds}};
  if (!m.gates.empty()) line["gates"] = m.gates;
  return line.dump() + "\n";
}

namespace {

std::map<std::string, std::vector<double>> read_gates_of_tasks(const nlohmann::json& line, const std::string& where) {
  if (!line.contains("gates")) return {};
  try {
    return line["gates"].get<std::map<std::string, std::vector<double>>>();
  } catch (const nlohmann::json::exception&) {
    fail("{}: `gates` is not an object of lists of numbers", where);
  }
}

}  // namespace

std::vector<StepMetrics> read_metrics(const std::filesystem::path& file, std::size_t most) {
  std::istringstream lines(read_whole_lines(file));
  std::vector<StepMetrics> out;
  for (std::string line; out.size() < most && std::getline(lines, line);) {
    const std::string where = fmt::format("{}, line {}", file.string(), out.size() + 1);
    const auto json = parse_json_object(line, where);
    out.push_back({.step = get_json<std::int64_t>(json, "step", where),
                   .loss = get_json<double>(json, "loss", where),
                   .cross_entropy = get_json<double>(json, "cross_entropy", where),
                   .penalty = get_json<double>(json, "penalty", where),
                   .gradient_norm = get_json<double>(json, "gradient_norm", where),
                   .lr = get_json<double>(json, "lr", where),
                   .tokens = get_json<std::int64_t>(json, "tokens", where),
                   .seconds = get_json<double>(json, "seconds", where),
                   .gates = read_gates_of_tasks(json, where)});
  }
  return out;
}

std::string metrics_lines(std::span<const StepMetrics> steps) {
  std::string lines;
  for (const auto& m : steps) lines += metrics_line(m);
  return lines;
}

std::int64_t count_lines(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return 0;
  const std::string text = read_text_file(file);
  return std::ranges::count(text, '\n');
}

LineLog::LineLog(std::filesystem::path file, std::string_view lines) : path_(std::move(file)) {
  write_file_atomically(path_, lines);
  file_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  require(file_ >= 0, "cannot write {}: {}", path_.string(), std::strerror(errno));
}

LineLog::~LineLog() { ::close(file_); }

void LineLog::add(std::string_view line) {
  const auto written = ::write(file_, line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size())) return;
  const int reason = written < 0 ? errno : ENOSPC;
  // No part of a line stays behind.
  if (written > 0) static_cast<void>(::ftruncate(file_, ::lseek(file_, 0, SEEK_END) - written) == 0);
  fail("cannot write {}: {}", path_.string(), std::strerror(reason));
}

void LineLog::sync() { require(::fdatasync(file_) == 0, "cannot write {}: {}", path_.string(), std::strerror(errno)); }

}  // namespace csreft
