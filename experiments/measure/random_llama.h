// Llamas of known shapes with random weights that are made where they are used: what speed and memory depend on,
// without a file.
#pragma once

#include <string>

#include "models/language_model.h"

namespace csreft {

LlamaConfig smollm2_shape();     // SmolLM2-135M: 30 layers, 576 wide, 9 heads on 3, vocabulary 49,152, tied
LlamaConfig llama2_7b_shape();   // Llama-2-7B: 32 layers, 4096 wide, 32 heads, vocabulary 32,000
LlamaConfig smoke_test_shape();  // 6 layers, 32 wide, 4 heads on 2, vocabulary 96: to try the way, not for figures

// Elements of the matrices that a token is multiplied by: those of the linear layers and the head.
double matrix_elements(const LlamaConfig& config);

// Normal weights of deviation 1 / sqrt(inputs), each tensor from a stream of its own and made on the device; norms
// of 1. The tokenizer knows one id a byte.
LanguageModel random_language_model(const std::string& name, const LlamaConfig& config, Weights weights,
                                    const Device& device);

}  // namespace csreft
