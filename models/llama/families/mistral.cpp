#include <nlohmann/json.hpp>

#include "core/base/json_file.h"
#include "models/llama/families/family.h"

namespace csreft {
namespace {

// transformers' own, where a config leaves it out.
constexpr std::int64_t default_window = 4096;

}  // namespace

// Mistral 7B (arXiv 2310.06825) and Nemo: a Llama whose tokens attend to a window, which later versions do without.
extern const ModelFamily mistral_family;
const ModelFamily mistral_family{
    .name = "mistral",
    .architecture = "Mistral",
    .gguf_architecture = {},
    .gguf_is_interleaved = true,
    .read =
        [](const nlohmann::json& config, std::string_view where, LlamaConfig& result) {
          result.sliding_window = find_json<std::int64_t>(config, "sliding_window", where);
          if (!config.contains("sliding_window")) result.sliding_window = default_window;
        },
    .write =
        [](const LlamaConfig& config, std::string_view where, nlohmann::json& out) {
          const LinearBiases& biases = config.biases;
          require(!biases.qkv && !biases.o && !biases.mlp, "{}: a Mistral has no biases: expected none", where);
          out["sliding_window"] = config.sliding_window ? nlohmann::json(*config.sliding_window) : nullptr;
        },
};

}  // namespace csreft
