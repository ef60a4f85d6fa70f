// What all cells of a comparison have in common: the model, the tasks, and where they stand.
#pragma once

#include <filesystem>
#include <optional>

#include "experiments/ablations/variant.h"
#include "experiments/training/config.h"
#include "experiments/training/flag_groups.h"

namespace csreft {

struct Setting {
  const ModelFlags& model_flags;
  const LanguageModel& model;  // frozen
  TaskSet tasks;
  std::vector<Task> spare;        // of each training task, the examples that are not learnt from; or empty
  std::optional<Task> elsewhere;  // text that is none of the tasks: what training does to it is the drift
  EvaluationOptions evaluation;
  std::filesystem::path folder;  // a folder in it for each cell
  Arguments arguments;
  DataFiles files;
};

// What a variant learns, in its order, and what it is scored on.
TaskSet tasks_of(const Variant& variant, const Setting& setting);

}  // namespace csreft
