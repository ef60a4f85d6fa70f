#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/base/json_file.h"
#include "models/llama/families/family.h"

namespace csreft {
namespace {

// Whether any layer attends to a window: those that `layer_types` names, or else those from max_window_layers on.
bool has_window(const nlohmann::json& config, std::string_view where, std::int64_t n_layers) {
  if (!find_json<bool>(config, "use_sliding_window", where).value_or(false)) return false;
  if (const auto types = config.find("layer_types"); types != config.end() && types->is_array()) {
    return std::ranges::any_of(*types, [](const auto& type) { return type != "full_attention"; });
  }
  constexpr std::int64_t default_full_layers = 28;  // transformers' own, where a config leaves it out
  return find_json<std::int64_t>(config, "max_window_layers", where).value_or(default_full_layers) < n_layers;
}

}  // namespace

// Qwen2 (arXiv 2407.10671) and Qwen2.5: q, k and v have biases; small ones tie the head.
extern const ModelFamily qwen2_family;
const ModelFamily qwen2_family{
    .name = "qwen2",
    .architecture = "Qwen2",
    .gguf_architecture = "qwen2",
    .gguf_is_interleaved = false,
    .read =
        [](const nlohmann::json& config, std::string_view where, LlamaConfig& result) {
          result.biases.qkv = true;
          if (has_window(config, where, result.n_layers)) {
            constexpr std::int64_t default_window = 4096;
            result.sliding_window = find_json<std::int64_t>(config, "sliding_window", where);
            if (!config.contains("sliding_window")) result.sliding_window = default_window;
          }
        },
    .write =
        [](const LlamaConfig& config, std::string_view where, nlohmann::json& out) {
          const LinearBiases& biases = config.biases;
          require(biases.qkv && !biases.o && !biases.mlp, "{}: a Qwen2 has biases of q, k and v: expected no others",
                  where);
          out["use_sliding_window"] = config.sliding_window.has_value();
          if (config.sliding_window) {
            out["sliding_window"] = *config.sliding_window;
            out["max_window_layers"] = 0;
          }
        },
};

}  // namespace csreft
