// Files that are written whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace csreft {

// A file written beside its place (`path.tmp-PROCESS-N`) and renamed over it by commit(). Until then, and after any
// failure, `path` holds what it held before. Every member throws Error with the path and the system's reason (no space
// left, no such folder, ...), and the temporary file is removed.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  // Removes the temporary file unless commit() succeeded.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  // Forces the contents to the disk and renames. Nothing may be written afterwards.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int file_ = -1;
};

// Throws Error as AtomicFile does.
void write_file_atomically(const std::filesystem::path& path, std::string_view contents);

// Throws Error for a path that is missing, a folder or unreadable, and for a git-lfs pointer. An empty file is "".
std::string read_text_file(const std::filesystem::path& path);

}  // namespace csreft
