// The router of CS-ReFT: alpha = gate(V2 relu(V1 x + c1) + c2), one for all layers of an adapter (arXiv 2503.10617,
// section 3), and the tables of what it may read, how its scores become gates, and how gates are penalised. To add one:
// a file in router_inputs/, gates/ or penalties/, its declaration in entries.h and its line in table.cpp of the same
// folder, and the file's name in meson.build.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/llama.h"
#include "reft/parameter.h"
#include "reft/positions.h"

namespace csreft {

// What the router reads of each prompt: [examples, d], from the input embeddings. Gradients do not flow into it.
struct RouterInput {
  std::string_view name;
  std::string_view summary;
  Tensor (*read)(const Llama& model, const TokenBatch& batch, const PromptSpans& prompts);
};

// Scores [examples, k] -> gates alpha [examples, k].
struct Gate {
  std::string_view name;
  std::string_view summary;
  Variable (*apply)(const Variable& scores);
};

// Omega(alpha): gates of a whole optimizer step [examples, k] -> [1].
struct Penalty {
  std::string_view name;
  std::string_view summary;
  Variable (*apply)(const Variable& alpha);
};

std::span<const RouterInput* const> router_inputs();
std::span<const Gate* const> gates();
std::span<const Penalty* const> penalties();
// By name. Throw Error, listing the names, for another.
const RouterInput& find_router_input(std::string_view name);
const Gate& find_gate(std::string_view name);
const Penalty& find_penalty(std::string_view name);

struct RouterShape {
  std::int64_t input;      // d
  std::int64_t hidden;     // the paper's is d / 2
  std::int64_t subspaces;  // k
};

// "router.0.weight" [hidden, d], "router.0.bias", "router.2.weight" [k, hidden], "router.2.bias": weights of deviation
// 1 / sqrt(inputs), biases zero.
std::vector<Parameter> make_router_parameters(const RouterShape& shape, std::uint64_t seed, std::uint64_t stream,
                                              DType dtype);

// Scores V2 relu(V1 x + c1) + c2: x [examples, d] -> [examples, k]. `parameters` as made above.
Variable router_scores(const Tensor& x, std::span<const Parameter> parameters);

}  // namespace csreft
