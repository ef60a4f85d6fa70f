#include "core/base/process_lock.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"

namespace csreft {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& folder, int descriptor) {
  std::array<char, 32> text{};
  const auto n = ::pread(descriptor, text.data(), text.size(), 0);
  const std::string process(text.data(), static_cast<std::size_t>(n > 0 ? n : 0));
  throw FolderInUse(fmt::format("{} is in use by {}: expected a folder that nothing else writes into", folder.string(),
                                process.empty() ? "another process" : "process " + process));
}

// Whether `file` still is what was opened: the process that held the lock before has removed its own.
bool is_same_file(int descriptor, const std::filesystem::path& file) {
  struct stat opened {};
  struct stat there {};
  return ::fstat(descriptor, &opened) == 0 && ::stat(file.c_str(), &there) == 0 && opened.st_dev == there.st_dev &&
         opened.st_ino == there.st_ino;
}

}  // namespace

ProcessLock::ProcessLock(const std::filesystem::path& folder, IfLocked if_locked) : file_(folder / lock_file_name) {
  do {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    require(descriptor_ >= 0, "cannot write {}: {}", file_.string(), std::strerror(errno));
    if (::flock(descriptor_, LOCK_EX | (if_locked == IfLocked::refuse ? LOCK_NB : 0)) == 0) continue;
    const int reason = errno;
    struct Close {
      int descriptor;
      ~Close() { ::close(descriptor); }
    } const close{descriptor_};
    require(reason == EWOULDBLOCK, "cannot lock {}: {}", file_.string(), std::strerror(reason));
    refuse(folder, descriptor_);
  } while (!is_same_file(descriptor_, file_));
  const std::string process = std::to_string(::getpid());
  const bool is_written = ::ftruncate(descriptor_, 0) == 0 && ::pwrite(descriptor_, process.data(), process.size(),
                                                                       0) == static_cast<ssize_t>(process.size());
  if (is_written) return;
  const int reason = errno;
  ::unlink(file_.c_str());
  ::close(descriptor_);
  fail("cannot write {}: {}", file_.string(), std::strerror(reason));
}

ProcessLock::~ProcessLock() {
  ::unlink(file_.c_str());
  ::close(descriptor_);
}

bool is_locked(const std::filesystem::path& folder) {
  const int descriptor = ::open((folder / lock_file_name).c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool is_held = ::flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(descriptor);
  return is_held;
}

}  // namespace csreft
