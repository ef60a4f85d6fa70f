// Tables on the screen.
#pragma once

#include <string>
#include <vector>

namespace csreft {

// The rows, all of one length, in columns as broad as what they hold; with its newlines.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace csreft
