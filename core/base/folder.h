#pragma once

#include <filesystem>
#include <vector>

namespace csreft {

// Makes a folder, and those above it, if they are missing. Throws Error, with the system's reason, if that fails or if
// files cannot be made in it.
void make_folder(const std::filesystem::path& folder);

// The same; the folders that were missing, the outermost first.
std::vector<std::filesystem::path> make_missing_folders(const std::filesystem::path& folder);

// Puts the folder `made` in the place of `folder`, whatever is there: at any moment one of the two is there, whole (on
// a file system that cannot exchange two names, for a moment none). Throws Error, with the system's reason.
void replace_folder(const std::filesystem::path& made, const std::filesystem::path& folder);

}  // namespace csreft
