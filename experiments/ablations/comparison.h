// What a comparison's folder shows of its cells: tables and a report. Several processes may fill one folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/ablations/ablation.h"
#include "experiments/ablations/tables.h"

namespace csreft {

struct Comparison {
  const Ablation& ablation;
  std::string title;                  // of the report
  std::string command;                // repeats it
  std::span<const Variant> variants;  // in the order of the tables
  const Setting& setting;
  std::uint64_t seed;  // the first
  // What the report shows beside what every comparison's shows: an HTML text; unset: nothing.
  std::function<std::string(std::span<const Cell>)> section{};
};

// The model as it is, as a cell of the comparison: the variant that it is, or else one beside them.
Variant untrained_variant(std::span<const Variant> variants, std::uint64_t seed);
// That cell, if it is done.
std::optional<Cell> read_untrained(const Comparison& comparison);

// Writes NAME.tsv, NAME-summary.tsv, NAME.json (the command and the version that wrote them) and report.html of all
// finished cells of the folder, whichever process made them, and returns the cells; one process at a time, so that none
// overwrites a later state. Nothing where there are none.
std::vector<Cell> write_comparison(const Comparison& comparison);

// A line a variant: means over its seeds, on stdout.
void print_cells(std::span<const Cell> cells, const std::optional<Cell>& untrained);

}  // namespace csreft
