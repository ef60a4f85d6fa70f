// LoRA adapters on disk in the layout of Python's peft: a folder with adapter_config.json (peft_config.h) and
// adapter_model.safetensors.
#pragma once

#include <filesystem>

#include "models/llama/llama_config.h"
#include "reft/adapters/lora_adapter.h"

namespace csreft {

// Writes both files, each of them whole or not at all, the config last; the folder is made if it is missing. Tensors
// are f32 and have peft's names, such as base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight. `config` is
// the base model's. Throws Error for an adapter without modules, for a place that the model lacks or that appears
// twice, for A and B of other shapes or dtypes than LoraModule says, and as AtomicFile does.
void write_peft(const std::filesystem::path& folder, const LoraAdapter& adapter, const LlamaConfig& config);

// Reads what peft or write_peft has written for the model of this config; F16 and BF16 tensors become f32. Names may
// lack "base_model.model." and have the adapter's own name in them, as in lora_A.default.weight. Throws Error, naming
// the file and the tensor, for tensors that are missing, twice there, that no module has, or whose shape is another
// than rank and model want; for adapters of the embedding or the head; for targets that the model has not; and as
// parse_peft_config does.
LoraAdapter read_peft(const std::filesystem::path& folder, const LlamaConfig& model);

// Whether the folder holds an adapter in this layout.
bool is_peft_folder(const std::filesystem::path& folder);

}  // namespace csreft
