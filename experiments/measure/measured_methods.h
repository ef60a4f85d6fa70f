// Methods whose speed is measured, the same wherever it is, so that figures can be compared.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "reft/methods/method.h"

namespace csreft {

struct MeasuredMethod {
  std::string_view name;
  MethodOptions options;
  bool edits;  // the first and the last five tokens of a prompt, at the edited layers; else every token in every layer
};

// LoReFT and CS-ReFT, which edit these layers, and LoRA of q and v.
std::vector<MeasuredMethod> measured_methods(std::span<const std::int64_t> edited_layers);

// LoReFT as it is compared with pyreft 0.1.0: rank 4, the first and the last five tokens untied.
MethodOptions compared_with_pyreft();

}  // namespace csreft
