// The shapes of models that people have, for measurements and for folders of random weights.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "models/llama/llama_config.h"

namespace csreft {

struct KnownShape {
  std::string_view name;  // "llama2-7b"
  LlamaConfig config;     // without token ids, which are a tokenizer's
};

std::span<const KnownShape> known_shapes();
std::vector<std::string_view> known_shape_names();
// Throws Error, naming the nearest, for a name that is not there.
const LlamaConfig& known_shape(std::string_view name);

}  // namespace csreft
