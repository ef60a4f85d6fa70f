// Folders that appear whole or not at all.
#pragma once

#include <filesystem>

namespace csreft {

// A folder filled beside its place (`place.tmp-PROCESS-N`) and renamed to it by commit(). Without commit() nothing is
// left.
class AtomicFolder {
 public:
  // Makes the folder to be filled, and the folders above it. Throws Error, with the path, if `place` is a file or a
  // folder that is not empty, or for the system's reason.
  explicit AtomicFolder(const std::filesystem::path& place);
  // Removes what was filled unless commit() succeeded.
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  // Where the files go until commit().
  const std::filesystem::path& path() const { return temporary_; }
  // Throws Error, with the system's reason, if something else has taken the place meanwhile.
  void commit();

 private:
  std::filesystem::path place_;
  std::filesystem::path temporary_;
};

}  // namespace csreft
