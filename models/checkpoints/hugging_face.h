// Hugging Face folders: config.json, and model.safetensors or shards with model.safetensors.index.json.
#pragma once

#include <filesystem>

#include "models/checkpoints/checkpoint.h"

namespace csreft {

// Opens the folder through open_checkpoint, which checks the tensors against the config; generation_config.json adds
// its eos_token_id to the config's. Tensors may have another prefix than "model.", or none (a dump of the model without
// its head, or of a wrapped one), and a tied model one matrix under either name. F32 weights stay views of the files,
// and matrices in F16 and BF16 are there as they are stored; these and F64 become f32 where they are read so. Throws
// Error for a folder without config.json or weights, saying what it is instead, for a missing shard, for an index and
// shards that contradict each other, and for weights of another dtype.
Checkpoint open_hugging_face(const std::filesystem::path& folder);

}  // namespace csreft
