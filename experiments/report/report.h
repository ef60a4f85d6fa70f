// report.html: one file that shows what a run did, without scripts, links or other files.
#pragma once

#include <filesystem>
#include <string>

#include "experiments/report/run_report.h"

namespace csreft {

// The page as one string; where there is no gnuplot, without pictures, as it then says. Throws Error when gnuplot
// fails, and for gates of unequal lengths.
std::string render_report(const RunReport& report);

// Writes the page whole or not at all; says once on stdout that it has no pictures. Throws Error as render_report does,
// and when `html` cannot be written.
void write_report(const std::filesystem::path& html, const RunReport& report);

}  // namespace csreft
