#include "core/base/abandoned.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <string>
#include <system_error>
#include <vector>

namespace csreft {

namespace fs = std::filesystem;

void remove_abandoned(const fs::path& path) {
  const std::string begin = path.filename().string() + ".tmp-";
  std::vector<fs::path> left;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path.has_parent_path() ? path.parent_path() : ".", error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(begin)) continue;
    pid_t process = 0;
    const auto number = std::from_chars(name.data() + begin.size(), name.data() + name.size(), process);
    const bool is_ours = number.ec == std::errc() && process > 0 && number.ptr != name.data() + name.size();
    if (is_ours && ::kill(process, 0) != 0 && errno == ESRCH) left.push_back(entry.path());
  }
  for (const auto& entry : left) fs::remove_all(entry, error);
}

}  // namespace csreft
