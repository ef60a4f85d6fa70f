#include "core/base/atomic_file.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/lfs_pointer.h"
#include "core/base/temporary.h"

namespace csreft {
namespace {

[[noreturn]] void fail_to_write(const std::filesystem::path& path, int reason) {
  fail("cannot write {}: {}", path.string(), std::strerror(reason));
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  for (int n = 0; file_ < 0; ++n) {
    temporary_ = temporary_path(path_, n);
    file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file_ < 0 && errno != EEXIST) fail_to_write(path_, errno);
  }
}

AtomicFile::~AtomicFile() {
  if (file_ >= 0) ::close(file_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  require(file_ >= 0, "cannot write {}: it is already closed", path_.string());
  while (!bytes.empty()) {
    const auto written = ::write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_to_write(path_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void AtomicFile::commit() {
  require(file_ >= 0, "cannot write {}: it is already closed", path_.string());
  if (::fsync(file_) != 0) fail_to_write(path_, errno);
  if (::close(std::exchange(file_, -1)) != 0) fail_to_write(path_, errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_to_write(path_, errno);
  temporary_.clear();
}

void write_file_atomically(const std::filesystem::path& path, std::string_view contents) {
  AtomicFile file(path);
  file.write(contents);
  file.commit();
}

std::string read_text_file(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require(file >= 0, "cannot open {}: {}; expected a file that can be read", path.string(), std::strerror(errno));
  std::string text;
  std::array<char, 1 << 16> buffer;
  for (;;) {
    const auto n = ::read(file, buffer.data(), buffer.size());
    if (n > 0) text.append(buffer.data(), static_cast<std::size_t>(n));
    if (n == 0) break;
    if (n < 0 && errno != EINTR) {
      const int reason = errno;
      ::close(file);
      fail("cannot read {}: {}", path.string(), std::strerror(reason));
    }
  }
  ::close(file);
  check_no_lfs_pointer(path, std::as_bytes(std::span(text)));
  return text;
}

}  // namespace csreft
