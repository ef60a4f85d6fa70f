// What stands around the JSON of a file of data.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace csreft {

// The text of a file: decompressed, without a byte-order mark. Throws Error for files of other kinds (Parquet, Arrow,
// CSV, other compression, UTF-16, git-lfs pointers) that says what converts them. `where` names the file.
std::string text_of_file(std::string bytes, const std::string& where);

// What NaN is made: a string as long as that word, of the control character DEL. Whoever reads it takes it for null.
inline constexpr std::string_view not_a_number = "\x7f";

// Makes of JSON as Python and pandas write it JSON as RFC 8259 has it, without moving any byte: Infinity and -Infinity
// become null, NaN the string not_a_number, and escaped halves of surrogate pairs that stand alone \ufffd. Returns how
// many the latter were.
std::size_t mend_json(std::string& text);

}  // namespace csreft
