// What a comparison's folder shows of its cells: tables and a report. Several processes may fill one folder.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "experiments/ablations/cells.h"

namespace csreft {

struct Comparison {
  std::string name;
  std::string reason;  // what is varied, and why
  std::filesystem::path folder;
  std::string command;                // repeats it
  std::span<const Variant> variants;  // in the order of the tables
  const LanguageModel& model;
  std::uint64_t seed;  // the first
};

// Writes NAME.tsv, NAME-summary.tsv and report.html of all finished cells of the folder, whichever process made them,
// and returns the cells; one process at a time, so that none overwrites a later state. Nothing where there are none.
std::vector<Cell> write_comparison(const Comparison& comparison);

// A line a variant: means over its seeds, on stdout.
void print_cells(std::span<const Cell> cells);

}  // namespace csreft
