// What a folder that is no model of Hugging Face's is instead, for messages.
#pragma once

#include <filesystem>

namespace csreft {

// Throws Error for a folder without config.json: an adapter, a run, the folder of a GGUF, or none of these.
[[noreturn]] void fail_without_config(const std::filesystem::path& folder);

// Throws Error for a folder with config.json and without model.safetensors or its index: an adapter, weights in another
// format, shards without their index, or none of these.
[[noreturn]] void fail_without_weights(const std::filesystem::path& folder);

}  // namespace csreft
