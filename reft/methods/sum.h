// Several methods in one adapter: "lora+loreft". Joint training of weights and activations is reported to beat either
// (arXiv 2603.00425).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "reft/methods/method.h"

namespace csreft {

// The names in "lora+loreft"; one name for a single method. Throws Error for an empty part or one that is named twice.
std::vector<std::string> parts_of_sum(const std::string& method);

// The settings of methods that attach one after the other. Their options and parameters have the method's name in
// front: "lora.rank", "lora.6.q_proj.A".
std::unique_ptr<MethodSettings> sum_settings(const std::vector<std::string>& parts);

}  // namespace csreft
