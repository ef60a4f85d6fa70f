// What a GGUF's metadata says of the model: its config, and its tensors' names.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/tensor/shape.h"
#include "models/checkpoints/checkpoint.h"
#include "models/llama/families/family.h"

namespace csreft {

// The metadata and the names of the tensors of one model. `where` begins every message.
struct GgufModel {
  const nlohmann::json& metadata;
  std::function<bool(const std::string& name)> has_tensor;
  std::string_view where;
};

// The family that `general.architecture` names. Throws Error for another.
const ModelFamily& gguf_family(const GgufModel& model);

// The config by the keys `ARCHITECTURE.*`, without rope_factors; biases are those of the first block's tensors. Throws
// Error for missing or ill-typed keys, and for what changes the computation and is not built: experts, rotation of a
// part of the head, or scaled by another rule than linear and YaRN.
LlamaConfig read_gguf_config(const GgufModel& model, const TokenizerVocabulary& vocabulary,
                             std::vector<std::string>& notes);

// An id under `tokenizer.ggml.`; nothing where it is absent, or where a vocabulary of `size` tokens lacks it, of which
// `notes` gets a line.
std::optional<std::int32_t> find_gguf_token(const GgufModel& model, const std::string& name, std::size_t size,
                                            std::vector<std::string>& notes);

// The name in a GGUF of a parameter with this Hugging Face name, one of parameter_shapes().
std::string gguf_name(const std::string& name);

}  // namespace csreft
