// Tasks that want contrary answers to the same text.
#pragma once

#include "experiments/ablations/variant.h"

namespace csreft {

// The first task whose answers are exactly two, and its reverse: under another instruction, the other answer. Both have
// half as many examples as that task; the share `shared` of them have the same texts, in training and in the test.
// Nothing where no task has exactly two answers.
std::optional<TaskSet> opposed_tasks(std::span<const Task> train, std::span<const Task> test, double shared);

}  // namespace csreft
