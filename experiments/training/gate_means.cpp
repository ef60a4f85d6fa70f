#include "experiments/training/gate_means.h"

#include "core/base/error.h"

namespace csreft {

GateMeans::GateMeans(std::span<const std::string> tasks, std::int64_t k)
    : tasks_(tasks), k_(static_cast<std::size_t>(k)), sums_(tasks.size() * (1 + k_), 0.0) {}

void GateMeans::add(std::span<const EncodedExample* const> examples, const Variable& alpha) {
  if (!alpha.defined()) return;
  const Tensor values = alpha.value().to(DType::f64).to(Device{});
  require(values.shape() == Shape{std::ssize(examples), static_cast<std::int64_t>(k_)},
          "gates of shape {}: expected {} of each of {} examples", values.shape().str(), k_, examples.size());
  for (std::size_t e = 0; e < examples.size(); ++e) {
    const auto sums = sums_of(examples[e]->task);
    sums[0] += 1.0;
    for (std::size_t i = 0; i < k_; ++i) sums[1 + i] += values.span<double>()[e * k_ + i];
  }
}

std::map<std::string, std::vector<double>> GateMeans::means() const {
  std::map<std::string, std::vector<double>> out;
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    const auto* const sums = sums_.data() + t * (1 + k_);
    if (sums[0] == 0.0) continue;
    auto& means = out[tasks_[t]];
    for (std::size_t i = 1; i <= k_; ++i) means.push_back(sums[i] / sums[0]);
  }
  return out;
}

}  // namespace csreft
