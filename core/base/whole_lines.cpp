#include "core/base/whole_lines.h"

#include "core/base/atomic_file.h"

namespace csreft {

std::string read_whole_lines(const std::filesystem::path& file) {
  std::string text = read_text_file(file);
  text.resize(text.rfind('\n') + 1);  // of no line: npos + 1 is 0
  return text;
}

}  // namespace csreft
