// Variants that flags describe: every combination of some options' values.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/ablations/cells.h"

namespace csreft {

// "rank=1,2,4,8": an option of a method or of the training, and its values.
struct VariedOption {
  std::string name;  // as in JSON: router_hidden
  std::vector<std::string> values;

  // Throws Error for text of another form, and for a value that is named twice.
  static VariedOption parse(const std::string& text);
};

// Each variant with each combination of the values, named NAME:rank=1:lr=0.004. An option that a variant's method does
// not have leaves it out of that combination. Throws Error for an option that no variant has and for values that none
// can have.
std::vector<Variant> varied(std::span<const Variant> variants, std::span<const VariedOption> options);

// The mean score of the cells over the values of each varied option whose values are numbers, as an HTML text with a
// picture each; nothing where there is none.
std::string varied_section(std::span<const Cell> cells, std::span<const VariedOption> options);

}  // namespace csreft
