// A model with adapters attached, as evaluate, generate and inspect have it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "experiments/training/flag_groups.h"
#include "reft/adapters/adapter_set.h"

namespace csreft {

// --adapter, --use, --alpha, --scale, --task
struct AdapterFlags {
  std::vector<std::string> adapters;
  std::string use, alpha;
  double scale = 1.0;
  std::string task;

  void add_to(Flags& flags);
  // Throws Error for values that no adapter can have.
  void check() const;
};

// Stays where it is: methods refer to the model.
class AdaptedModel {
 public:
  // Throws Error for a folder that is not an adapter of the model, and for flags without effect. The prompt's form is
  // the adapter's, unless flags say else.
  AdaptedModel(const ModelFlags& model_flags, const AdapterFlags& adapter_flags, const Flags& flags);
  AdaptedModel(const AdaptedModel&) = delete;
  AdaptedModel& operator=(const AdaptedModel&) = delete;

  LanguageModel model;
  std::string system;
  std::vector<std::filesystem::path> folders;  // of the adapters
  std::unique_ptr<AdapterSet> adapters;        // null: the model as it is
  std::string label = "base";                  // what is attached: "csreft", "lora+loreft"
};

}  // namespace csreft
