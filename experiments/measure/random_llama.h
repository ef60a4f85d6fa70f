// Llamas of known shapes with random weights that are made where they are used: what speed and memory depend on,
// without a file.
#pragma once

#include <string>

#include "models/language_model.h"

namespace csreft {

// Of models/llama/known_shapes.h: "smollm2", "llama2-7b", and "tiny", to try the way, not for figures.
LlamaConfig smollm2_shape();
LlamaConfig llama2_7b_shape();
LlamaConfig smoke_test_shape();

// Elements of the matrices that a token is multiplied by: those of the linear layers and the head.
double matrix_elements(const LlamaConfig& config);

// Normal weights of deviation 1 / sqrt(inputs), each tensor from a stream of its own and made on the device; norms
// of 1, biases of 0. The tokenizer knows one id a byte.
LanguageModel random_language_model(const std::string& name, const LlamaConfig& config, Weights weights,
                                    const Device& device);

}  // namespace csreft
