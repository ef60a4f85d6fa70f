// The frame of every report: one HTML page without scripts, links or other files.
#pragma once

#include <string>
#include <string_view>

namespace csreft {

// The text as HTML shows it, in elements and in attributes.
std::string escape(std::string_view text);

// A whole page with this title and heading, the project's style, and `body` (HTML) below the heading.
std::string html_page(std::string_view title, std::string_view body);

}  // namespace csreft
