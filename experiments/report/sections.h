// The parts of a report's page, in the order in which they stand there: each as HTML, and empty where the report has
// nothing for it. A method has one colour in all pictures.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "experiments/report/figure.h"
#include "experiments/report/run_report.h"

namespace csreft::sections {

// The number (plot.h) of each method's colour: 0 for the untrained model, the others in the order of the report.
using Colours = std::map<std::string, std::size_t>;
Colours colours_of(const RunReport& report);

std::string headline(const RunReport& report);
std::string scores(const RunReport& report, const Colours& colours);
std::string differences(const RunReport& report);
std::string sequences(const RunReport& report);
std::string training(const RunReport& report, const Colours& colours);
std::string validation(const RunReport& report, const Colours& colours);
std::string gates(const RunReport& report);
std::string cost(const RunReport& report);
std::string samples(const RunReport& report);
std::string mistakes(const RunReport& report);
std::string how_to_repeat(const RunReport& report);

// ---- what several of them need -----------------------------------------------------------------------------------

using Names = std::vector<std::string>;
void add_once(Names& names, const std::string& name);
bool is_share(const std::string& metric);
std::string percent(double value);
std::string duration(double seconds);
// A table that scrolls where it is too wide; `head` and `rows` are its <tr> elements.
std::string table(const std::string& head, const std::string& rows);

}  // namespace csreft::sections
