// LoRA (arXiv 2106.09685) as values: what an adapter in PEFT's layout holds, and what a merge adds to the weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"
#include "models/llama/llama.h"

namespace csreft {

// The update of one linear layer: W x + scale B A x, scale = lora_scale(alpha, rank(), use_rslora).
struct LoraModule {
  std::int64_t layer = 0;
  LinearSite site = LinearSite::q_proj;
  double alpha = 0;
  Tensor A;  // f32 [rank, in]
  Tensor B;  // f32 [out, rank]

  std::int64_t rank() const { return A.rows(); }
};

struct LoraAdapter {
  // Of most modules; each has its own.
  std::int64_t rank = 8;
  double alpha = 8;
  bool use_rslora = false;
  double dropout = 0;  // of a module's input, in training
  // A name on the hub or a path, as it was given; empty: not known.
  std::string base_model;
  // By layer, then by site; each place once.
  std::vector<LoraModule> modules;
};

// alpha / rank; with rsLoRA (arXiv 2312.03732) alpha / sqrt(rank).
double lora_scale(double alpha, std::int64_t rank, bool use_rslora);

// "model.layers.3.self_attn.q_proj", the layer's name in transformers; its weight has ".weight" added.
std::string module_name(std::int64_t layer, LinearSite site);
// All linear layers of a block, in the order of LinearSite.
std::vector<LinearSite> linear_sites();

// The layers, and the names of the sites ("q_proj"), that have modules: in order, each once.
std::vector<std::int64_t> layers_of(const LoraAdapter& adapter);
std::vector<std::string> targets_of(const LoraAdapter& adapter);

}  // namespace csreft
