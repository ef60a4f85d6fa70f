// Standardising what the router reads, by the training prompts. Raw embeddings are small and nearly alike, so that a
// router's scores hardly differ between prompts; standardised, its input has mean 0 and deviation 1.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor/tensor.h"

namespace csreft {

// "router_norm.mean" and "router_norm.scale" (1 / deviation), each [d]: kept in the adapter. Starts as the identity.
using RouterNorm = std::vector<std::pair<std::string, Tensor>>;

RouterNorm make_router_norm(std::int64_t hidden, const TensorOptions& tensors);
// Mean and deviation of each component of the router's inputs [prompts, d]. One that never varies keeps scale 1.
void fit_router_norm(RouterNorm& norm, const Tensor& inputs);
// (x - mean) * scale: x [examples, d].
Tensor standardise(std::span<const std::pair<std::string, Tensor>> norm, const Tensor& x);

}  // namespace csreft
