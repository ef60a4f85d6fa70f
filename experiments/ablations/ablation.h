// Comparisons that one command runs: what is varied, on the same data and seeds. To add one: a file beside this one,
// its name in the table of table.cpp, and the file's name in experiments/meson.build.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "experiments/ablations/variant.h"
#include "experiments/tasks/task.h"

namespace csreft {

// What the variants of an ablation start from.
struct AblationBase {
  MethodOptions method;  // layers, positions, rank and subspaces of CS-ReFT
  TrainOptions train;
  const Llama& model;
  std::span<const Task> tasks;  // to learn from
};

struct Ablation {
  std::string_view name;
  std::string_view summary;
  std::vector<Variant> (*variants)(const AblationBase& base);
};

std::span<const Ablation* const> ablations();
// Throws Error, naming the nearest, for an unknown ablation.
const Ablation& find_ablation(std::string_view name);

}  // namespace csreft
