#include "core/base/temporary.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

namespace csreft {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view infix = ".tmp-";

struct TemporaryName {
  std::string place;
  pid_t process = 0;
};

std::optional<TemporaryName> parse(const std::string& name) {
  const std::size_t at = name.rfind(infix);
  if (at == name.npos) return std::nullopt;
  TemporaryName parsed{name.substr(0, at), 0};
  int n = 0;
  const char* const end = name.data() + name.size();
  const auto process = std::from_chars(name.data() + at + infix.size(), end, parsed.process);
  if (process.ec != std::errc() || parsed.process <= 0 || process.ptr == end || *process.ptr != '-')
    return std::nullopt;
  const auto number = std::from_chars(process.ptr + 1, end, n);
  if (number.ec != std::errc() || number.ptr != end) return std::nullopt;
  return parsed;
}

bool is_running(pid_t process) { return ::kill(process, 0) == 0 || errno != ESRCH; }

// Removes what `is_left` says of the entries of a folder, if that is there.
template <typename F>
void remove_entries(const fs::path& folder, const F& is_left) {
  std::vector<fs::path> left;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto name = parse(entry.path().filename().string());
    if (name && is_left(*name)) left.push_back(entry.path());
  }
  for (const auto& entry : left) fs::remove_all(entry, error);
}

}  // namespace

fs::path temporary_path(const fs::path& place, int n) {
  fs::path path = place;
  path += fmt::format("{}{}-{}", infix, ::getpid(), n);
  return path;
}

bool is_temporary(const fs::path& path) { return parse(path.filename().string()).has_value(); }

void remove_abandoned(const fs::path& path) {
  const std::string place = path.filename().string();
  remove_entries(path.has_parent_path() ? path.parent_path() : ".",
                 [&place](const TemporaryName& name) { return name.place == place && !is_running(name.process); });
}

void remove_temporaries(const fs::path& folder) {
  remove_entries(folder, [](const TemporaryName& /*name*/) { return true; });
}

}  // namespace csreft
