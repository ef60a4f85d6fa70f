// Whether tasks pull a method's parameters the same way, and how its subspaces lie to each other.
#pragma once

#include <span>
#include <string>

#include "experiments/ablations/tables.h"

namespace csreft {

// {"tasks", "cosine", "cosine_by_layer": {layer: }, "cosine_by_subspace": [], "principal_angles"}. A cosine's entry
// [a][b] is that of the gradients of tasks a and b on two sets of examples that share none, of half the training
// examples each and at most 16: of a task with itself, it is the most that two tasks could show through the noise of so
// few examples. Null where a task has no gradient, or but one example. Angles in degrees, rising, of every two
// subspaces of each place.
nlohmann::json measure_conflict(const LanguageModel& model, const Method& method, const TaskSet& tasks);

// The columns of a cell that was so measured, "before" and "after" training: the mean cosine of two tasks, that of a
// task with itself, and the smallest angle between two subspaces.
FurtherColumns conflict_columns();

// A line for each cosine of each cell: all parameters, each layer and each subspace, before and after training.
std::string cosines_tsv(std::span<const Cell> cells);

// The cosines over all parameters of the variants of these names, as HTML; nothing where there is no gnuplot.
std::string cosine_pictures(std::span<const Cell> cells, std::span<const std::string_view> variants);

}  // namespace csreft
