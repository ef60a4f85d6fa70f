// The mean gates of each task over the examples of an optimizer step, whichever rank has computed them.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "experiments/training/batch.h"

namespace csreft {

class GateMeans {
 public:
  // `k`: of the gates of an example; 0: the method has none. `tasks` must outlive this.
  GateMeans(std::span<const std::string> tasks, std::int64_t k);

  // alpha: [examples, k], or undefined where there are no gates.
  void add(std::span<const EncodedExample* const> examples, const Variable& alpha);
  // By the task's name; tasks without examples are left out.
  std::map<std::string, std::vector<double>> means() const;
  // Sums, of which those of several ranks add up: for each task the number of examples, and the sum of each gate.
  std::span<double> sums() { return sums_; }

 private:
  std::span<double> sums_of(std::size_t task) { return std::span(sums_).subspan(task * (1 + k_), 1 + k_); }

  std::span<const std::string> tasks_;
  std::size_t k_;
  std::vector<double> sums_;
};

}  // namespace csreft
