#pragma once

#include <filesystem>
#include <string>

namespace csreft {

// The lines of a file that have their end: a kill may have cut the last of a file that grows by a line at a time.
// Throws Error as read_text_file() does.
std::string read_whole_lines(const std::filesystem::path& file);

}  // namespace csreft
