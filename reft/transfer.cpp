#include "reft/transfer.h"

#include <algorithm>

#include "core/base/error.h"

namespace csreft {

Transfer transfer(std::span<const std::vector<double>> a, std::span<const double> b) {
  const std::size_t n = a.size();
  require(n >= 1, "no task was learnt: expected the scores after one at least");
  for (const auto& row : a)
    require(row.size() == n, "{} scores after one of {} tasks: expected one of each", row.size(), n);
  require(b.empty() || b.size() == n, "{} scores of the untrained model for {} tasks", b.size(), n);
  const auto& end = a.back();
  Transfer out;
  double sum = 0.0, backward = 0.0, forward = 0.0, forgetting = 0.0;
  for (std::size_t j = 0; j < n; ++j) {
    sum += end[j];
    if (j > 0 && !b.empty()) forward += a[j - 1][j] - b[j];
    if (j + 1 == n) continue;
    backward += end[j] - a[j][j];
    double best = a[0][j];
    for (std::size_t l = 1; l + 1 < n; ++l) best = std::max(best, a[l][j]);
    forgetting += best - end[j];
  }
  out.average = sum / static_cast<double>(n);
  if (n == 1) return out;
  const auto others = static_cast<double>(n - 1);
  out.backward = backward / others;
  out.forgetting = forgetting / others;
  if (!b.empty()) out.forward = forward / others;
  return out;
}

}  // namespace csreft
