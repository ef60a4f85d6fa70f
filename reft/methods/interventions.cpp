// LoReFT and its relatives (arXiv 2404.03592): one intervention at each edited layer and group of positions. A method
// for every formula in interventions/.
#include <algorithm>
#include <vector>

#include "reft/methods/edit_sites.h"
#include "reft/methods/entries.h"

namespace csreft {
namespace {

class InterventionMethod : public Method {
 public:
  InterventionMethod(const MethodOptions& options, const LlamaConfig& config, std::uint64_t seed,
                     const TensorOptions& tensors)
      : options_(options), sites_(find_intervention(options.method), options, config, /*blocks=*/1, seed, tensors) {}

  const MethodOptions& options() const override { return options_; }
  std::span<const Parameter> parameters() const override { return sites_.parameters(); }

  MethodPass attach(const Llama&, const PromptBatch& batch) const override {
    MethodPass pass;
    pass.points.block_output_layers = sites_.layers();
    pass.points.block_output = [this, rows = sites_.rows(batch.prompts)](std::int64_t layer, const Variable& hidden) {
      return sites_.apply(layer, hidden, rows, /*alpha=*/{});
    };
    return pass;
  }

 private:
  MethodOptions options_;
  EditSites sites_;
};

// An intervention without a low-rank parameter has no rank.
std::vector<std::string_view> flags_of(const Intervention& intervention) {
  const bool ranked = std::ranges::any_of(intervention.parameters,
                                          [](const InterventionParameter& p) { return p.extent != Extent::hidden; });
  if (!ranked) return {"--positions", "--tied"};
  return {"--rank", "--positions", "--tied"};
}

}  // namespace

std::span<const MethodEntry* const> intervention_methods() {
  static const auto entries = [] {
    std::vector<MethodEntry> made;
    for (const auto* intervention : interventions()) {
      made.push_back({intervention->name, intervention->formula, flags_of(*intervention),
                      [](const MethodOptions& options, const LlamaConfig& config, std::uint64_t seed,
                         const TensorOptions& tensors) -> std::unique_ptr<Method> {
                        return std::make_unique<InterventionMethod>(options, config, seed, tensors);
                      }});
    }
    return made;
  }();
  static const auto pointers = [] {
    std::vector<const MethodEntry*> made;
    for (const auto& entry : entries) made.push_back(&entry);
    return made;
  }();
  return pointers;
}

}  // namespace csreft
