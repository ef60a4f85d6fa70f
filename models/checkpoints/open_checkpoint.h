// A base model by its path.
#pragma once

#include <filesystem>

#include "models/checkpoints/checkpoint.h"

namespace csreft {

// Opens a Hugging Face folder, a .gguf or a llama2.c .bin, and checks it (check_complete). Reads headers only. Throws
// Error for anything else, saying what is accepted.
Checkpoint open_checkpoint(const std::filesystem::path& path);

}  // namespace csreft
