// Training that goes on for very many steps: whether memory, speed and orthonormal matrices stay as they are.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "models/language_model.h"

namespace csreft {

struct SoakSetting {
  std::string optimizer = "riemannian_adam";
  bool joint = false;  // subspaces orthogonal to each other
  std::int64_t steps = 100'000;
  double seconds = 600.0;  // whichever of the two ends first
  std::uint64_t seed = 0;
};

// "riemannian_adam, joint"
std::string describe(const SoakSetting& setting);

// A moment of a training: rates are of the steps since the one before.
struct SoakSample {
  std::int64_t step = 0;
  double seconds = 0.0;               // since the first step
  double steps_per_second = 0.0;      // of wall-clock time, which other programmes take a part of
  double steps_per_cpu_second = 0.0;  // of this process's time on a processor
  std::int64_t resident_bytes = 0;    // of this process
  double orthonormality_error = 0.0;  // the largest element of |R R^T - I|
  double loss = 0.0;
};

// Trains CS-ReFT on a few examples that `model` learns by heart, step after step; asks `on_sample` about a hundred
// times. Stops when interrupted(). Throws Error for a loss or a gradient that is not finite.
std::vector<SoakSample> soak(const LanguageModel& model, const SoakSetting& setting,
                             const std::function<void(const SoakSample&)>& on_sample);

// What samples say. Means of the last fifth are compared with those of the second: the first is warming up.
struct SoakVerdict {
  double memory_growth = 0.0;  // share of the memory
  double slowdown = 0.0;       // share of the steps a second of processor time
  double orthonormality_error = 0.0;
  bool is_memory_level = false;  // to 1 %
  bool is_speed_level = false;   // to 25 %: what processors share with others changes as much
  bool is_orthonormal = false;   // below 1e-5, or the optimizer does not promise that
  bool holds() const { return is_memory_level && is_speed_level && is_orthonormal; }
};
// Throws Error for fewer than ten samples.
SoakVerdict judge(std::span<const SoakSample> samples, bool keeps_orthonormal);

}  // namespace csreft
