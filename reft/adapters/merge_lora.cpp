#include "reft/adapters/merge_lora.h"

#include <map>

#include "core/ops/ops.h"

namespace csreft {
namespace {

// W + scale B A
Tensor merged(const Tensor& weight, const LoraModule& module, bool use_rslora) {
  Tensor result = weight.clone();  // it may be a read-only view of the file
  ops::axpy_(result, lora_scale(module.alpha, module.rank(), use_rslora), ops::matmul(module.B, module.A));
  return result;
}

}  // namespace

void merge_lora(const std::filesystem::path& folder, const Checkpoint& checkpoint, const LoraAdapter& adapter,
                const HuggingFaceWriteOptions& options) {
  std::map<std::string, const LoraModule*> modules;
  for (const auto& module : adapter.modules) {
    const auto name = module_name(module.layer, module.site) + ".weight";
    const auto found = checkpoint.shapes.find(name);
    require(found != checkpoint.shapes.end(), "LoRA of {} cannot be merged: {} has no such tensor", name,
            checkpoint.path.string());
    require(found->second == Shape{module.B.rows(), module.A.cols()},
            "LoRA of {} cannot be merged: B A is {}, the weight {}", name,
            Shape{module.B.rows(), module.A.cols()}.str(), found->second.str());
    modules.emplace(name, &module);
  }
  const auto tensor = [&](const std::string& name) {
    const auto found = modules.find(name);
    const Tensor weight = checkpoint.tensor(name);
    return found == modules.end() ? weight : merged(weight, *found->second, adapter.use_rslora);
  };
  write_hugging_face(folder, checkpoint, tensor, options);
}

}  // namespace csreft
