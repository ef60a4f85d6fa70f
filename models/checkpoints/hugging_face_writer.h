// A model written as a Hugging Face folder, which loads here (hugging_face.h) and in transformers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/tensor/safetensors.h"
#include "models/checkpoints/checkpoint.h"

namespace csreft {

struct HuggingFaceWriteOptions {
  SafeTensors::ElementType dtype = SafeTensors::ElementType::f32;  // f32, bf16 or f16
  // Weights of more bytes are cut into files of at most so many (a larger tensor has its own), with an index.
  std::int64_t max_shard_bytes = 5'000'000'000;
};

// The type that a flag names: "f32", "bf16" or "f16". Throws Error for another.
SafeTensors::ElementType parse_weight_type(std::string_view name);

// Writes config.json, generation_config.json, model.safetensors (or shards with model.safetensors.index.json) and the
// tokenizer's files into a new or empty folder: all of them or nothing (AtomicFolder). `source` gives the config, the
// tokenizer and the chat template; `tensor` is asked for each of parameter_shapes(source.config) once, in order, and
// returns it with Hugging Face's order of rows, of any real dtype on any device. One tensor is in memory at a time.
//
// The tokenizer: a folder's files are copied, a tokenizer.model or .json too, and a GGUF's byte-level BPE becomes a
// tokenizer.json (write_tokenizer_files). Throws Error for a tokenizer that has no such form (the SentencePiece
// vocabulary of a GGUF, llama2.c's tokenizer.bin), before any tensor is asked for; for rope factors that no
// rope_scaling of Hugging Face describes; for a tensor of another shape; and as AtomicFolder and AtomicFile do.
void write_hugging_face(const std::filesystem::path& folder, const Checkpoint& source,
                        const std::function<Tensor(const std::string& name)>& tensor,
                        const HuggingFaceWriteOptions& options = {});

// The bytes of all weights so written.
std::int64_t weight_bytes(const LlamaConfig& config, SafeTensors::ElementType dtype);

// Throws Error, as write_hugging_face would, for a source whose config or tokenizer has no such form.
void check_hugging_face_form(const Checkpoint& source);

// The config as its family's config.json, without the dtype: what parse_llama_config reads back as it was. Rope factors
// that Llama 3's rule makes (those of its GGUF files) become that rule. Throws Error, naming `where`, for others, and
// for biases or a window that the family does not have.
nlohmann::json llama_config_json(const LlamaConfig& config, std::string_view where);

}  // namespace csreft
