// Text on a terminal.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>

namespace csreft {

// The columns of the terminal that `out` is; 80 where it does not say.
std::size_t terminal_width(std::FILE* out);

// The lines of a help page, broken at spaces where they are longer than `width`. What belongs to a flag goes on in the
// column of the descriptions, and what is indented further goes on two columns beyond its own beginning.
// What follows the line `Examples:` stays as it is.
std::string wrapped_help(const std::string& help, std::size_t column, std::size_t width);

}  // namespace csreft
