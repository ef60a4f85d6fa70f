// Random LoRA adapters, and LoRA applied beside the weights, for tests.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "core/tensor/random.h"
#include "reft/adapters/lora_adapter.h"

// A place of a module, its rank and its alpha.
struct LoraPlace {
  std::int64_t layer;
  csreft::LinearSite site;
  std::int64_t rank;
  double alpha;
};

// Modules of random A and B, large enough that logits differ from the base model's.
inline csreft::LoraAdapter random_lora(const csreft::LlamaConfig& config, const std::vector<LoraPlace>& places,
                                       std::int64_t rank, double alpha, std::uint64_t seed = 1) {
  csreft::LoraAdapter adapter{.rank = rank, .alpha = alpha, .base_model = "tiny", .modules = {}};
  std::map<std::string, csreft::Shape> shapes;
  for (const auto& [name, shape] : csreft::parameter_shapes(config)) shapes.emplace(name, shape);
  std::uint64_t stream = 0;
  for (const auto& place : places) {
    const auto weight = shapes.at(csreft::module_name(place.layer, place.site) + ".weight");
    adapter.modules.push_back({.layer = place.layer,
                               .site = place.site,
                               .alpha = place.alpha,
                               .A = csreft::random_normal({place.rank, weight[1]}, 0, 0.2, seed, stream),
                               .B = csreft::random_normal({weight[0], place.rank}, 0, 0.2, seed, stream + 1)});
    stream += 2;
  }
  return adapter;
}

// y + scale B A x at the adapter's modules. The adapter must outlive the result.
inline csreft::Attachments lora_attachments(const csreft::LoraAdapter& adapter) {
  std::map<std::pair<std::int64_t, csreft::LinearSite>, const csreft::LoraModule*> modules;
  for (const auto& module : adapter.modules) modules[{module.layer, module.site}] = &module;
  csreft::Attachments points;
  points.linear = [modules, &adapter](std::int64_t layer, csreft::LinearSite site, const csreft::Variable& x,
                                      const csreft::Variable& y) {
    const auto found = modules.find({layer, site});
    if (found == modules.end()) return y;
    const csreft::LoraModule& m = *found->second;
    const auto update = linear(linear(x, csreft::Variable(m.A)), csreft::Variable(m.B));
    return add(y, scale(update, csreft::lora_scale(m.alpha, m.rank(), adapter.use_rslora)));
  };
  return points;
}
