#include <nlohmann/json.hpp>

#include "core/base/json_file.h"
#include "models/llama/families/family.h"

namespace csreft {

// Llama 1 to 3 and what is built like it (TinyLlama, SmolLM, Vicuna). `attention_bias` is one of q, k, v and o.
extern const ModelFamily llama_family;
const ModelFamily llama_family{
    .name = "llama",
    .architecture = "Llama",
    .gguf_architecture = "llama",
    .gguf_is_interleaved = true,
    .read =
        [](const nlohmann::json& config, std::string_view where, LlamaConfig& result) {
          const bool attention = find_json<bool>(config, "attention_bias", where).value_or(false);
          const bool mlp = find_json<bool>(config, "mlp_bias", where).value_or(false);
          result.biases = {.qkv = attention, .o = attention, .mlp = mlp};
        },
    .write =
        [](const LlamaConfig& config, std::string_view where, nlohmann::json& out) {
          const LinearBiases& biases = config.biases;
          require(
              biases.qkv == biases.o && !config.sliding_window,
              "{}: no config.json of a Llama describes it: expected biases of q, k, v and o or of none of them, and "
              "no sliding window",
              where);
          out["attention_bias"] = biases.qkv;
          out["mlp_bias"] = biases.mlp;
        },
};

}  // namespace csreft
