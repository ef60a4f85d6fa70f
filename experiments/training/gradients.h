// What one task asks of a method's parameters.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "experiments/training/batch.h"

namespace csreft {

// Some of a task's examples.
struct ExampleRange {
  std::int64_t first = 0, n = 0;
};

// The gradient of the mean cross-entropy over the response tokens of some of the task's examples, with respect to each
// of the method's parameters, in their order: f64 tensors on the host, undefined for one that takes no part. Without
// dropout and noise; the method stays as it is. `index`: the task's among the method's tasks. Throws Error for a range
// that the task does not have, and for examples without responses.
std::vector<Tensor> task_gradient(const LanguageModel& model, const Method& method, const Task& task,
                                  const ExampleRange& range, std::int32_t index, std::string_view system);

// <a, b> / (|a| |b|) over all their elements; nothing where one of them is zero.
std::optional<double> cosine(const std::vector<Tensor>& a, const std::vector<Tensor>& b);

}  // namespace csreft
