// Model families: Llama, and those that are a Llama but for what their configs say and their blocks add.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "models/llama/llama_config.h"

namespace csreft {

// A family's file defines one, and models/meson.build lists it. All have Llama's tensors under Llama's names.
struct ModelFamily {
  // config.json's `model_type`.
  std::string_view name;
  // What `architectures` begins with: "Llama" of LlamaForCausalLM.
  std::string_view architecture;
  // GGUF's `general.architecture`; empty where GGUFs of the family say another's.
  std::string_view gguf_architecture;
  // Whether GGUFs have rows of q and k in Meta's order (interleaved_row of checkpoint.h).
  bool gguf_is_interleaved;
  // Reads what the family's config.json says beyond sizes, rotation and token ids, which are read: biases and
  // sliding_window. Throws Error, naming `where`, for what is not built.
  void (*read)(const nlohmann::json& config, std::string_view where, LlamaConfig& result);
  // Writes this for `read`. Throws Error, naming `where`, for a config that the family cannot describe.
  void (*write)(const LlamaConfig& config, std::string_view where, nlohmann::json& out);
};

// In the order of models/meson.build.
std::span<const ModelFamily* const> model_families();

// The family of a name, of a `model_type` and of a GGUF's architecture. Throw Error, naming `where` and the families
// that there are, for another.
const ModelFamily& find_family(std::string_view name);
const ModelFamily& family_of_model_type(std::string_view model_type, std::string_view where);
const ModelFamily& family_of_gguf(std::string_view architecture, std::string_view where);

}  // namespace csreft
