#include "core/base/mapped_file.h"

#include <cerrno>
#include <cstdint>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/lfs_pointer.h"

namespace csreft {
namespace {

// Maps the open file, or throws: the caller closes it either way.
std::span<const std::byte> map(int file, const std::filesystem::path& path) {
  struct stat info {};
  require(fstat(file, &info) == 0, "cannot read {}: {}", path.string(), std::strerror(errno));
  require(!S_ISDIR(info.st_mode), "cannot read {}: it is a folder, expected a file", path.string());
  require(S_ISREG(info.st_mode), "cannot read {}: it is not a regular file", path.string());
  require(info.st_size > 0, "cannot read {}: the file is empty", path.string());
  const auto size = static_cast<std::size_t>(info.st_size);
  void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  require(address != MAP_FAILED, "cannot map {} into memory: {}", path.string(), std::strerror(errno));
  return {static_cast<const std::byte*>(address), size};
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require(file >= 0, "cannot open {}: {}; expected a file that can be read", path.string(), std::strerror(errno));
  try {
    const auto bytes = map(file, path);
    std::shared_ptr<const MappedFile> mapped(new MappedFile(path, bytes));
    check_no_lfs_pointer(path, bytes);
    ::close(file);
    return mapped;
  } catch (...) {
    ::close(file);
    throw;
  }
}

MappedFile::~MappedFile() { munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size()); }

void MappedFile::forget(std::span<const std::byte> part) const {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const auto offset = static_cast<std::size_t>(part.data() - bytes_.data());
  const std::size_t begin = (offset + page - 1) / page * page;
  const std::size_t end = (offset + part.size()) / page * page;
  if (begin < end) madvise(const_cast<std::byte*>(bytes_.data()) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace csreft
