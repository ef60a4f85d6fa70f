#include "tests/fuzz/target.h"

#include <stdexcept>

#include "core/base/error.h"

namespace csreft {

bool check_reading(const FuzzTarget& target, std::string_view input) {
  try {
    target.read(input);
    return true;
  } catch (const Error& error) {
    if (std::string_view(error.what()).empty()) throw std::runtime_error("an error without a text");
    return false;
  }
}

std::string two_files(std::string_view text, std::string_view bytes) {
  std::string input(text);
  input += '\0';
  return input.append(bytes);
}

std::pair<std::string_view, std::string_view> two_files_of(std::string_view input) {
  const std::size_t end = input.find('\0');
  if (end == input.npos) return {input, {}};
  return {input.substr(0, end), input.substr(end + 1)};
}

const TemporaryFolder& fuzz_folder() {
  static const TemporaryFolder folder;
  return folder;
}

}  // namespace csreft
