// The elements of a file of data, whatever container they are in.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include <nlohmann/json.hpp>

namespace csreft {

// Called for each element, from 0 on. Numbers that no 64-bit integer holds come as strings, digit for digit; but a
// whole number that is written with a point, as pandas writes those of a column with gaps, is a whole number: 3.0 is 3.
using OnElement = std::function<void(const nlohmann::json& element, std::size_t index)>;

// What was read otherwise than it stands there.
struct MendedText {
  std::size_t surrogates = 0;  // halves of surrogate pairs, escaped and alone: U+FFFD
};

// Reads `bytes`: a JSON list; an object with one list named data, train, test, validation or examples; or JSON lines.
// gzip around it, a byte-order mark, CRLF, blank lines and a last line without an end are no matter; NaN and Infinity
// are null. One element is held at a time. Throws Error, naming the file as `where` does, with line and column for
// broken JSON, and for other kinds of files with what converts them.
MendedText read_elements(std::string bytes, const std::string& where, const OnElement& on_element);

}  // namespace csreft
