// Hugging Face folders: config.json, and model.safetensors or shards with model.safetensors.index.json.
#pragma once

#include <filesystem>

#include "models/checkpoints/checkpoint.h"

namespace csreft {

// Opens the folder through open_checkpoint, which checks the tensors against the config. F32 weights stay views of the
// files, and matrices in F16 and BF16 are there as they are stored; those become f32 where they are read so. Throws
// Error for a folder without config.json or weights, for a missing shard, for an index and shards that contradict each
// other, and for weights of another dtype.
Checkpoint open_hugging_face(const std::filesystem::path& folder);

}  // namespace csreft
