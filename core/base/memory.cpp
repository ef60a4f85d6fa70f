#include "core/base/memory.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include "core/base/error.h"

namespace csreft {
namespace {

// The number after `key` in a file of lines "key number ...".
std::optional<std::int64_t> find_number(const std::filesystem::path& file, std::string_view key) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string first;
    std::int64_t number = 0;
    if (words >> first >> number && first == key) return number;
  }
  return std::nullopt;
}

// The number that a file consists of; nothing for "max".
std::optional<std::int64_t> read_number(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::int64_t number = 0;
  return in >> number ? std::optional(number) : std::nullopt;
}

// The files by which a version of control groups says what a group may take, and takes.
struct GroupFiles {
  const char* folder;  // of all groups, under the root
  const char* limit;
  const char* usage;
  const char* file_pages;  // in memory.stat, of pages that can be dropped
};
constexpr GroupFiles version1{"sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                              "total_inactive_file"};
constexpr GroupFiles version2{"sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"};

// What the limits of a group and of those above it leave.
std::optional<std::int64_t> left_in_group(const std::filesystem::path& root, const GroupFiles& files,
                                          const std::string& group) {
  std::optional<std::int64_t> least;
  const auto top = root / files.folder;
  auto place = (top / std::filesystem::path(group).relative_path()).lexically_normal();
  for (;;) {
    const auto limit = read_number(place / files.limit), usage = read_number(place / files.usage);
    if (limit && usage) {
      const auto dropped = find_number(place / "memory.stat", files.file_pages).value_or(0);
      const std::int64_t left = std::max<std::int64_t>(0, *limit - *usage + dropped);
      least = std::min(least.value_or(left), left);
    }
    if (place == top || !place.has_relative_path() || place == place.parent_path()) return least;
    place = place.parent_path();
  }
}

// Of this process, whose groups /proc/self/cgroup lists as "number:controllers:group".
std::optional<std::int64_t> left_in_groups(const std::filesystem::path& root) {
  std::optional<std::int64_t> least;
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    const bool is_memory = ("," + controllers + ",").find(",memory,") != std::string::npos;
    if (!controllers.empty() && !is_memory) continue;
    const auto left = left_in_group(root, is_memory ? version1 : version2, group);
    if (left) least = std::min(least.value_or(*left), *left);
  }
  return least;
}

}  // namespace

std::optional<std::int64_t> available_memory(const std::filesystem::path& root) {
  auto available = find_number(root / "proc/meminfo", "MemAvailable:");
  if (available) *available *= 1024;
  const auto left = left_in_groups(root);
  if (left && available) return std::min(*left, *available);
  return left ? left : available;
}

void require_memory(std::string_view what, std::int64_t bytes, std::string_view instead,
                    const std::filesystem::path& root) {
  const auto available = available_memory(root);
  const auto in_gib = [](std::int64_t n) { return static_cast<double>(n) / 0x1p30; };
  require(!available || bytes <= *available, "{} needs {:.1f} GiB of memory, {:.1f} GiB are free: expected {}", what,
          in_gib(bytes), in_gib(available.value_or(0)), instead);
}

}  // namespace csreft
