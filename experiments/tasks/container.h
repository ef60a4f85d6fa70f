// What stands around the JSON of a file of data.
#pragma once

#include <cstddef>
#include <string>

namespace csreft {

// The text of a file: decompressed, without a byte-order mark. Throws Error for files of other kinds (Parquet, Arrow,
// CSV, other compression, UTF-16, git-lfs pointers) that says what converts them. `where` names the file.
std::string text_of_file(std::string bytes, const std::string& where);

// Makes of JSON as Python and pandas write it JSON as RFC 8259 has it, without moving any byte: NaN, Infinity and
// -Infinity become "", and escaped halves of surrogate pairs that stand alone \ufffd. Returns how many the latter were.
std::size_t mend_json(std::string& text);

}  // namespace csreft
