// The flags of a comparison.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/ablations/ablation.h"
#include "experiments/cli/cli.h"
#include "experiments/training/run_flags.h"

namespace csreft {

struct ComparisonCommand {
  std::string experiment;              // its name
  const Ablation* ablation = nullptr;  // null: the flags say which
  std::string name;
  ModelFlags model;
  OptionFlags method;
  TrainFlags train_flags;
  TrainOptions train;
  EvaluationOptions evaluation;
  std::vector<std::string> train_files, test_files, vary;
  std::string variants, rates = "auto", out, hosts, elsewhere = "auto";
  std::int64_t seeds = 3, jobs = 1;
  DataFlags data;
  SizeFlags sizes;
  SaveFlags saves;
  bool bare = false;
  bool smoke = false;
};

void add_flags(Flags& flags, ComparisonCommand& o);
// For the help of `experiment`, which compares the variants of `fixed` or, where that is null, those that it is told
// to.
std::vector<std::string> examples_of(std::string_view experiment, const Ablation* fixed);
// What the flags ask for, checked as far as it can be without the model.
void complete(const Flags& flags, ComparisonCommand& o);

}  // namespace csreft
