// Comparisons that one command runs: what is varied, on the same data and seeds. To add one: a file beside this one,
// and its name in experiments/meson.build.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/table.h"
#include "experiments/ablations/cells.h"
#include "experiments/ablations/tables.h"
#include "experiments/report/report.h"

namespace csreft {

// The text of the file NAME-`suffix`.tsv.
struct NamedTable {
  std::string suffix, text;
};

struct Ablation {
  std::string_view name;
  std::string_view summary;
  // What is varied and why, for the report: a paragraph.
  std::string_view reason;
  std::vector<Variant> (*variants)(const AblationBase& base);
  // The variant to which NAME-summary.tsv gives the difference of the one of this name; empty: none. Of a name made by
  // --vary it is asked without the values, and those belong to both, where both have them. Null: the first variant that
  // is there.
  ReferenceOf reference = nullptr;
  // NAME.tsv and NAME-summary.tsv of the cells, in place of those of tables.h; null: those.
  std::string (*cells_table)(std::span<const Cell> cells, const std::optional<Cell>& untrained) = nullptr;
  std::string (*summary_table)(std::span<const Cell> cells, const std::optional<Cell>& untrained) = nullptr;
  // Files beside these: NAME-....tsv; null: none.
  std::vector<NamedTable> (*further_tables)(std::span<const Cell> cells) = nullptr;
  // What the report shows beside what every comparison's shows: an HTML text; null: nothing.
  std::string (*section)(std::span<const Cell> cells) = nullptr;
  // What --rates auto stands for; empty: no search.
  std::string_view rates{};
  // The group of variants that share a learning rate, where --rates searches for it (rates.h); null: each has its own.
  std::string (*rate_group)(const std::string& variant) = nullptr;
  // --jobs and --hosts are refused: its times are of a machine with nothing else to do.
  bool one_at_a_time = false;
};

std::span<const Ablation* const> ablations();
// Throws Error, naming the nearest, for an unknown ablation.
inline const Ablation& find_ablation(std::string_view name) { return find_named(ablations(), "ablation", name); }

}  // namespace csreft
