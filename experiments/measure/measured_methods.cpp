#include "experiments/measure/measured_methods.h"

#include "reft/methods/edit_sites.h"

namespace csreft {

std::vector<MeasuredMethod> measured_methods(std::span<const std::int64_t> edited_layers) {
  const nlohmann::json edits{{"layers", layers_text(edited_layers)}, {"positions", "f5+l5"}};
  return {{"loreft", {"loreft", edits}, true},
          {"csreft", {"csreft", edits}, true},
          {"lora", {"lora", {{"layers", "all"}}}, false}};
}

MethodOptions compared_with_pyreft() { return {"loreft", {{"rank", 4}, {"positions", "f5+l5"}}}; }

}  // namespace csreft
