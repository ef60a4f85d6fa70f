// Files as read-only memory: weights are read by the pages that are touched, never copied whole.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace csreft {

// A whole file, mapped read-only until the last owner goes. The address is aligned to a page.
class MappedFile {
 public:
  // Throws Error for a path that is missing, not a regular file, unreadable or empty, and for a git-lfs pointer.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  // Tells the system that `part` of bytes() was read for the last time, so that its whole pages leave the process's
  // resident memory. Reading them again is valid: they come back from the file.
  void forget(std::span<const std::byte> part) const;

 private:
  MappedFile(std::filesystem::path path, std::span<const std::byte> bytes) : path_(std::move(path)), bytes_(bytes) {}

  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
};

}  // namespace csreft
