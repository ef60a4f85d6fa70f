// Linear discriminant analysis of classes that come one after the other, each seen once (streaming LDA: Hayes and Kanan
// 2020, arXiv 1909.01520). Of each class its mean is kept, and of all together one scatter about these means: numbers
// of a fixed size, from which the rule is made anew when a class is added.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor/tensor.h"

namespace csreft {

// Gaussian classes of one covariance Sigma, equally probable: score_c(x) = mu_c^T L x - mu_c^T L mu_c / 2, which is the
// logarithm of the density but for a constant. With D the diagonal of Sigma, L = (Sigma + shrinkage D)^-1: each
// component is shrunk by its own variance, so that the rule does not depend on their units. (Of the mean hidden states
// of prompts after block 5 of SmolLM2-135M, the largest variance is a thousand times the median.)
class Discriminant {
 public:
  Discriminant(std::int64_t classes, std::int64_t d, const TensorOptions& tensors);

  // Learns class c from its examples x [n, d], n >= 1. Throws Error for a class that is learnt already.
  void learn(std::int64_t c, const Tensor& x, double shrinkage);
  // [n, classes] for x [n, d]. Every class that is not learnt has the same score, below that of any other.
  Tensor scores(const Tensor& x) const;

  // "discriminant.weight" [classes, d] and "discriminant.bias" [classes], of which scores are made; and what is learnt
  // from: "discriminant.mean" [classes, d], "discriminant.scatter" [d, d] and "discriminant.examples" [classes].
  std::span<const std::pair<std::string, Tensor>> buffers() const { return buffers_; }

 private:
  const Tensor& buffer(std::size_t i) const { return buffers_[i].second; }
  void make_rule(double shrinkage);

  std::vector<std::pair<std::string, Tensor>> buffers_;
};

}  // namespace csreft
