// The work of a comparison: cells that are not done yet, one after the other. Any number of processes that see the same
// folder, on one machine or on several, share it: each takes a cell that nobody works at.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "experiments/ablations/cells.h"

namespace csreft {

// Runs every cell that is not done, until all are, by this process or another, or a signal comes. Waits for those that
// others work at, and does them if the others give up. `after` is called after each cell that this process has done.
// Returns how many it did. A cell that fails is told and left; when all others are done, throws Error that names the
// first of these.
std::size_t work_through(std::span<const Variant> cells, const Setting& setting, const std::function<void()>& after);

// How many are done, whoever did them.
std::size_t count_done(std::span<const Variant> cells, const Setting& setting);

}  // namespace csreft
