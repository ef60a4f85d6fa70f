// A model of random weights against what the card can do: prompts with and without edits, training, decoding.
#pragma once

#include "experiments/measure/check_limits.h"

namespace csreft {

struct CheckedModel {
  std::string name;
  LlamaConfig config;
  std::vector<std::int64_t> edited_layers;
  // Whether training is to reach half of the measured product.
  bool has_training_goal = false;
};

// The part of this model; left out where the device's memory does not hold it.
void check_model(CheckRun& run, const CheckedModel& checked, const DeviceLimits& limits);

}  // namespace csreft
