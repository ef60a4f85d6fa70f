// Tasks that want contrary answers to the same text.
#pragma once

#include "experiments/ablations/variant.h"

namespace csreft {

// A task with few kinds of answers, and its reverse: under another instruction, each answer in place of the one that
// precedes it (of two, the other one). Both have half as many examples as `tasks` has of the first such task; the share
// `shared` of them have the same texts, in training and in the test. Nothing where no task has 2 to 8 kinds of answers.
std::optional<TaskSet> opposed_tasks(std::span<const Task> train, std::span<const Task> test, double shared);

}  // namespace csreft
