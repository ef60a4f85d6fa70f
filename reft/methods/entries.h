// The table's entries, one a file.
#pragma once

#include "reft/methods/method.h"

namespace csreft {

extern const MethodEntry csreft_method;
extern const MethodEntry lora_method;
// One for each formula of interventions/.
std::span<const MethodEntry* const> intervention_methods();

}  // namespace csreft
