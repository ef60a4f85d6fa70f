// A folder that one process at a time works in.
#pragma once

#include <filesystem>

#include "core/base/error.h"

namespace csreft {

// The name of the file that holds the lock, while it is held.
inline constexpr const char* lock_file_name = ".csreft-lock";

// What to do about a folder in use.
enum class IfLocked { refuse, wait };

// Thrown for a folder in use.
struct FolderInUse : Error {
  using Error::Error;
};

// Held by one process at a time, and by none after that process has ended, however it ends: the kernel releases it.
class ProcessLock {
 public:
  // Throws Error where no file can be made and, unless it is to wait, FolderInUse, with the number of the process that
  // holds it.
  explicit ProcessLock(const std::filesystem::path& folder, IfLocked if_locked = IfLocked::refuse);
  ~ProcessLock();
  ProcessLock(const ProcessLock&) = delete;
  ProcessLock& operator=(const ProcessLock&) = delete;

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
};

// Whether a process holds the lock of this folder. To know it, asks for a share of the lock for a moment; no file is
// made. False where the folder's lock cannot be read.
bool is_locked(const std::filesystem::path& folder);

}  // namespace csreft
