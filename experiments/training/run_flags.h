// Flags of a training run apart from what is trained: when it saves, and what it is validated on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/cli/cli.h"
#include "experiments/tasks/read.h"
#include "experiments/training/trainer.h"

namespace csreft {

// "90", "90s", "1.5m" or "2h" in seconds. Throws Error for other text, and for less than 0; `flag` is where it stands.
double parse_duration(const std::string& text, const std::string& flag);

// --save-every
struct SaveFlags {
  std::string every = "60s";

  void add_to(Flags& flags);
  // Throws Error for a time that is not understood.
  void apply(TrainOptions& options) const { options.save_every = parse_duration(every, "--save-every"); }
};

// --validation
struct ValidationFlags {
  std::vector<std::string> sources;  // files, or one share

  void add_to(Flags& flags);
  // The files among the sources.
  std::vector<std::string> files() const;
  // The tasks of the files; or the share of each training task, drawn by the seed and taken out of it. Throws Error for
  // sources that are not understood, and for a training task of which nothing would be left.
  std::vector<Task> take(std::vector<Task>& train, std::uint64_t seed, const DataReading& reading = {},
                         std::vector<std::string>* notes = nullptr) const;
  // Throws Error for options that need validation data where there are none.
  void check(const TrainOptions& options) const;
};

}  // namespace csreft
