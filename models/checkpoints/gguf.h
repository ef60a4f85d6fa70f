// Llama models in GGUF, llama.cpp's file format.
#pragma once

#include <filesystem>

#include "models/checkpoints/checkpoint.h"

namespace csreft {

// Opens the file, or all the parts of one, through open_checkpoint, which checks the tensors against the config. Rows
// of q and k are put into Hugging Face's order when they are read; F32 tensors else stay views of the file. Throws
// Error as read_gguf does, for a family that is not read, and for missing or ill-typed keys (gguf_config.h).
Checkpoint open_gguf(const std::filesystem::path& path);

}  // namespace csreft
