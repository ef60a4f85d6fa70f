// One of the things that a comparison compares.
#pragma once

#include <string>

#include "experiments/training/trainer.h"
#include "reft/methods/method.h"

namespace csreft {

struct Variant {
  std::string name;
  MethodOptions method;
  TrainOptions train;
};

}  // namespace csreft
