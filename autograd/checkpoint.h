// Activation checkpointing (Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174): a part of
// the graph keeps its inputs alone, and is computed again when its gradient is due.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "autograd/variable.h"

namespace csreft {

using CheckpointedFunction = std::function<std::vector<Variable>(std::span<const Variable> inputs)>;

// f(inputs), one Variable or more. What its functions save is dropped at once; the backward runs f once more and gives
// gradients to the inputs, and to parameters and other Variables that f reads beside them. Memory: the inputs and f.
//
// f is kept until then, so what it captures must live as long. It must compute the same both times (dropout has
// explicit streams), and hand out Variables by its result alone: one that it leaves elsewhere is an Error in the
// backward that reaches it. Where nothing is recorded (NoGrad), or no gradient is required, f runs once.
std::vector<Variable> checkpoint(CheckpointedFunction f, std::span<const Variable> inputs);

}  // namespace csreft
