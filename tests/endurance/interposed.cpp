// Loaded into a programme that a test starts, before the C library (LD_PRELOAD): ends the programme at a given one of
// its operations on files, or gives it a wall clock that jumps.
//
//   CSREFT_KILL_AT=N     SIGKILL before the N-th operation that changes a file or a folder
//   CSREFT_KILL_HALF=1   of that operation, if it is a write, the first half is done before
//   CSREFT_KILL_GROUP=1  the whole process group is killed, not this process alone
//   CSREFT_KILLED=FILE   made before the kill
//   CSREFT_COUNT=FOLDER  at the end, the folder gets a file of the process's number that says how many there were
//   CSREFT_CLOCK_JUMPS=1 each look at the wall clock finds a day more than the truth, then a day less, ...
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

std::atomic<long> n_operations = 0;
std::atomic<long> n_looks = 0;

long number(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : std::atol(text);
}

void make_file(const char* path, const char* text, std::size_t size) {
  const long file = ::syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  static_cast<void>(::syscall(SYS_write, file, text, size));
  ::syscall(SYS_close, file);
}

// Counts an operation. Whether the programme ends with it.
bool is_last() { return ++n_operations == number("CSREFT_KILL_AT"); }

[[noreturn]] void end() {
  if (const char* path = std::getenv("CSREFT_KILLED")) make_file(path, "", 0);
  ::kill(number("CSREFT_KILL_GROUP") != 0 ? 0 : ::getpid(), SIGKILL);
  for (;;) ::pause();
}

// The operation's own result; it is not done where the programme ends with it.
template <typename... Values>
long operation(long call, Values... values) {
  if (is_last()) end();
  return ::syscall(call, values...);
}

bool is_file(int descriptor) {
  struct stat about {};
  return descriptor > STDERR_FILENO && ::fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode);
}

constexpr time_t day = 24 * 60 * 60;

time_t jump() {
  if (number("CSREFT_CLOCK_JUMPS") == 0) return 0;
  return n_looks++ % 2 == 0 ? day : -day;
}

__attribute__((destructor)) void tell_count() {
  const char* folder = std::getenv("CSREFT_COUNT");
  if (folder == nullptr) return;
  std::array<char, 4096> path{};
  std::array<char, 32> text{};
  std::snprintf(path.data(), path.size(), "%s/%d", folder, ::getpid());
  const int size = std::snprintf(text.data(), text.size(), "%ld", n_operations.load());
  make_file(path.data(), text.data(), static_cast<std::size_t>(size));
}

}  // namespace

// The C library declares these with names that are reserved.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
extern "C" {

ssize_t write(int descriptor, const void* bytes, size_t size) {
  if (is_file(descriptor) && is_last()) {
    if (number("CSREFT_KILL_HALF") != 0) ::syscall(SYS_write, descriptor, bytes, size / 2);
    end();
  }
  return ::syscall(SYS_write, descriptor, bytes, size);
}

ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  return operation(SYS_pwrite64, descriptor, bytes, size, offset);
}

int ftruncate(int descriptor, off_t size) noexcept {
  return static_cast<int>(operation(SYS_ftruncate, descriptor, size));
}

int fsync(int descriptor) { return static_cast<int>(operation(SYS_fsync, descriptor)); }

int fdatasync(int descriptor) { return static_cast<int>(operation(SYS_fdatasync, descriptor)); }

int rename(const char* from, const char* to) noexcept { return static_cast<int>(operation(SYS_rename, from, to)); }

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned int flags) noexcept {
  return static_cast<int>(operation(SYS_renameat2, from_folder, from, to_folder, to, flags));
}

int unlink(const char* path) noexcept { return static_cast<int>(operation(SYS_unlink, path)); }

int unlinkat(int folder, const char* path, int flags) noexcept {
  return static_cast<int>(operation(SYS_unlinkat, folder, path, flags));
}

int rmdir(const char* path) noexcept { return static_cast<int>(operation(SYS_rmdir, path)); }

int mkdir(const char* path, mode_t mode) noexcept { return static_cast<int>(operation(SYS_mkdir, path, mode)); }

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const long result = ::syscall(SYS_clock_gettime, clock, time);
  if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += jump();
  return static_cast<int>(result);
}

time_t time(time_t* place) noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  if (place != nullptr) *place = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(timeval* place, void* /*zone*/) noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  place->tv_sec = now.tv_sec;
  place->tv_usec = now.tv_nsec / 1000;
  return 0;
}

}  // extern "C"
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
