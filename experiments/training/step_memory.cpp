#include "experiments/training/step_memory.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

#include "core/base/memory.h"
#include "models/llama/memory_needs.h"
#include "reft/methods/edit_sites.h"

namespace csreft {
namespace {

bool trains_model(const Method& method) {
  return std::ranges::any_of(method.parameters(), [](const auto& p) { return p.part == ParameterPart::model; });
}

// The lowest layer that a method edits, where it has a flag for that; else the lowest of all.
std::int64_t lowest_layer(const Method& method, std::int64_t n_layers) {
  const MethodOptions& options = method.options();
  if (!options.contains("layers") || !options.at("layers").is_string()) return 0;
  return parse_layers(options.at("layers").get<std::string>(), n_layers).front();
}

}  // namespace

std::int64_t longest_pass(std::span<const std::vector<std::int64_t>> examples, std::int64_t batch,
                          std::int64_t tokens_per_pass, int ranks) {
  std::vector<std::int64_t> lengths;
  std::int64_t longest_turn = 0;
  for (const auto& turns : examples) {
    lengths.push_back(std::accumulate(turns.begin(), turns.end(), std::int64_t{0}));
    for (const std::int64_t turn : turns) longest_turn = std::max(longest_turn, turn);
  }
  std::ranges::sort(lengths, std::greater<>());
  lengths.resize(std::min(lengths.size(), static_cast<std::size_t>(batch)));
  if (lengths.empty()) return 0;
  auto sum = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  if (ranks > 1) sum = std::min(sum, sum / ranks + longest_turn);
  return std::min(sum, std::max(tokens_per_pass, longest_turn));
}

std::int64_t step_bytes(const LlamaConfig& config, const Method& method, std::int64_t tokens, int ranks) {
  std::int64_t trained = 0;
  for (const auto& p : method.parameters()) trained += p.value.value().numel();
  const auto gradient = static_cast<std::int64_t>(sizeof(float)), moments = 2 * gradient;
  const std::int64_t layers = config.n_layers - lowest_layer(method, config.n_layers);
  const MethodOptions& options = method.options();
  const bool checkpointing = options.contains("checkpointing") && options.at("checkpointing") == true;
  return gradient * trained + moments * trained / ranks + activation_bytes(config, tokens, layers, checkpointing);
}

void check_step_memory(const Llama& model, const Method& method, std::int64_t tokens, const std::filesystem::path& root,
                       int ranks, int ranks_here) {
  if (model.options().device.type != DeviceType::cpu) return;
  require_memory(
      fmt::format("a training step of {} tokens with method {}", tokens, method.options().method),
      ranks_here * step_bytes(model.config(), method, tokens, ranks),
      trains_model(method)
          ? "a method that leaves the weights frozen (loreft, csreft, lora), or a smaller model"
          : "a smaller --max-length, --batch or --tokens-per-pass, edits in higher --layers alone, or weights "
            "in bf16 or as a quantised GGUF",
      root);
}

}  // namespace csreft
