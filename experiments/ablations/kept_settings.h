// What the folder of a comparison was made with, in its ablation.json.
#pragma once

#include <filesystem>

#include <nlohmann/json.hpp>

#include "models/llama/fingerprint.h"

namespace csreft {

// Begins a comparison in a folder that is not there or empty, or finds that the one there is the same: that its file
// says what is `wanted`. Of processes that begin at once, one makes the file. A folder of an earlier version has
// another form of the model's fingerprint. Throws Error for another comparison, and for a folder that holds anything
// else.
void keep_settings(const std::filesystem::path& folder, const nlohmann::json& wanted, const Fingerprint& model);

}  // namespace csreft
