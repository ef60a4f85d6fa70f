// Files compressed by gzip (RFC 1952).
#pragma once

#include <string>
#include <string_view>

namespace csreft {

bool is_gzip(std::string_view bytes);

// What `bytes`, all members of a gzip file, hold. Throws Error, beginning with `where`, for bytes that are damaged or
// end early, and for contents so much larger than the file (more than 200 times, and more than 16 MiB) that they are no
// text.
std::string gunzip(std::string_view bytes, std::string_view where);

}  // namespace csreft
