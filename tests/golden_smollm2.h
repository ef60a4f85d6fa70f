// Golden values of the default model, SmolLM2-135M-Instruct, and of the Llama-2 tokenizer.
#pragma once

#include <filesystem>

#include "tests/golden_compare.h"

// The model file is the one that the environment variable CSREFT_SMOLLM2 names. `llama2_tokenizer` is a SentencePiece
// model, or empty if there is none. Files of the folder:
// - tokens.json: texts with their ids, exact;
// - generate.json: mean negative log-likelihood of a prompt's tokens after the first (1e-4 absolute), its next token's
//   ten largest logits (2e-3 absolute), and the greedy continuation, which may differ from a step of margin under 0.01
//   on;
// - loreft.json, loreft.safetensors: loss (1e-4 absolute) and gradients (1e-2 relative to the largest element of each
//   tensor: 30 layers in f32) of LoReFT.
// Another file of golden values is a failure.
void check_golden_smollm2(const std::filesystem::path& folder, const std::filesystem::path& llama2_tokenizer,
                          const GoldenSink& sink);
