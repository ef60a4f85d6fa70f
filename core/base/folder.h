#pragma once

#include <filesystem>

namespace csreft {

// Makes a folder, and those above it, if they are missing. Throws Error, with the system's reason, if that fails or if
// files cannot be made in it.
void make_folder(const std::filesystem::path& folder);

}  // namespace csreft
