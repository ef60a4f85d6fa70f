// A folder that one process at a time works in.
#pragma once

#include <filesystem>

namespace csreft {

// The name of the file that holds the lock, while it is held.
inline constexpr const char* lock_file_name = ".csreft-lock";

// Held by one process at a time, and by none after that process has ended, however it ends: the kernel releases it.
class ProcessLock {
 public:
  // Throws Error, with the number of the process that holds it, for a folder in use, and where no file can be made.
  explicit ProcessLock(const std::filesystem::path& folder);
  ~ProcessLock();
  ProcessLock(const ProcessLock&) = delete;
  ProcessLock& operator=(const ProcessLock&) = delete;

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
};

}  // namespace csreft
