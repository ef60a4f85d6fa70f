// Measures of tasks that are learnt one after the other: what one takes from the others, and gives to them.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace csreft {

// Of scores of which more is better. With a_ij the score on task j after the i-th of T tasks was learnt, and b_j that
// of the untrained model (Lopez-Paz and Ranzato 2017, arXiv 1706.08840, eqs. 2 to 4; forgetting: Chaudhry et al. 2018,
// arXiv 1801.10112, eq. 3):
struct Transfer {
  double average = 0.0;              // mean over j of a_Tj
  std::optional<double> backward;    // mean over j < T of a_Tj - a_jj; nothing of one task
  std::optional<double> forward;     // mean over j > 1 of a_(j-1)j - b_j; nothing of one task, or without b
  std::optional<double> forgetting;  // mean over j < T of (the largest a_lj with l < T) - a_Tj; nothing of one task
};

// a[i][j]: T rows of T scores, T >= 1; b: T scores, or none. Throws Error for others.
Transfer transfer(std::span<const std::vector<double>> a, std::span<const double> b);

}  // namespace csreft
