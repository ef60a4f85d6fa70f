#include <algorithm>

#include "models/llama/llama.h"

namespace csreft {

Attachments chained(std::vector<Attachments> all) {
  if (all.size() == 1) return std::move(all.front());
  Attachments out;
  std::vector<std::function<Variable(std::int64_t, const Variable&)>> outputs;
  std::vector<std::function<Variable(std::int64_t, LinearSite, const Variable&, const Variable&)>> linears;
  std::set<std::int64_t> layers;
  bool every_layer = false;
  for (auto& one : all) {
    out.checkpointing = out.checkpointing || one.checkpointing;
    if (one.linear) linears.push_back(std::move(one.linear));
    if (!one.block_output) continue;
    outputs.push_back(std::move(one.block_output));
    every_layer = every_layer || !one.block_output_layers;
    if (one.block_output_layers) layers.insert(one.block_output_layers->begin(), one.block_output_layers->end());
  }
  if (!outputs.empty()) {
    if (!every_layer) out.block_output_layers = std::move(layers);
    out.block_output = [outputs = std::move(outputs)](std::int64_t layer, const Variable& hidden) {
      Variable current = hidden;
      for (const auto& output : outputs) current = output(layer, current);
      return current;
    };
  }
  if (!linears.empty()) {
    out.linear = [linears = std::move(linears)](std::int64_t layer, LinearSite site, const Variable& x,
                                                const Variable& y) {
      Variable current = y;
      for (const auto& linear : linears) current = linear(layer, site, x, current);
      return current;
    };
  }
  return out;
}

}  // namespace csreft
