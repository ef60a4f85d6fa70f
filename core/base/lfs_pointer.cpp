#include "core/base/lfs_pointer.h"

#include <string_view>

#include "core/base/error.h"

namespace csreft {

void check_no_lfs_pointer(const std::filesystem::path& path, std::span<const std::byte> contents) {
  constexpr std::size_t most = 1024;
  const std::string_view text(static_cast<const char*>(static_cast<const void*>(contents.data())), contents.size());
  require(text.size() >= most || !text.starts_with("version https://git-lfs.github.com/spec/"),
          "{} is a git-lfs pointer, not the file itself: run git lfs pull where it was cloned", path.string());
}

}  // namespace csreft
