// LoRA made part of the weights: W + scale B A in place of W, after which the model needs no adapter.
#pragma once

#include <filesystem>

#include "models/checkpoints/checkpoint.h"
#include "models/checkpoints/hugging_face_writer.h"
#include "reft/adapters/lora_adapter.h"

namespace csreft {

// Writes the checkpoint with the adapter merged as a Hugging Face folder (write_hugging_face). Sums are f32, whatever
// the checkpoint holds, and are rounded once where options.dtype is bf16. Throws Error as write_hugging_face does, and
// for modules whose shapes do not fit the checkpoint's weights.
void merge_lora(const std::filesystem::path& folder, const Checkpoint& checkpoint, const LoraAdapter& adapter,
                const HuggingFaceWriteOptions& options = {});

}  // namespace csreft
