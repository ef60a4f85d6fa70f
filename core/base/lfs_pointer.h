// The small files that git leaves in the place of large ones that git-lfs has not fetched.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace csreft {

// Throws Error, naming the file, if its contents are such a pointer
// (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md): text of less than 1024 bytes with a version line first.
void check_no_lfs_pointer(const std::filesystem::path& path, std::span<const std::byte> contents);

}  // namespace csreft
