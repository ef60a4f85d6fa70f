#include "experiments/cli/terminal.h"

#include <algorithm>
#include <sstream>

#include <sys/ioctl.h>
#include <unistd.h>

namespace csreft {

std::size_t terminal_width(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string wrapped_help(const std::string& help, std::size_t column, std::size_t width) {
  std::istringstream lines(help);
  std::string out;
  bool is_example = false;  // those stay whole, to be copied
  for (std::string line; std::getline(lines, line);) {
    is_example = is_example || line == "Examples:";
    const std::size_t begin = std::min(line.find_first_not_of(' '), line.size());
    const std::size_t indent = begin == 0 ? 0 : begin < column ? column : begin + 2;
    while (line.size() > width && !is_example) {
      const std::size_t space = line.rfind(' ', width);
      // Nothing to break at but what stands in front.
      if (space == line.npos || space <= std::max(indent, begin)) break;
      out += line.substr(0, space) + "\n";
      line = std::string(indent, ' ') + line.substr(space + 1);
    }
    out += line + "\n";
  }
  return out;
}

}  // namespace csreft
