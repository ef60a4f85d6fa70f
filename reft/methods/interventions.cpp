// LoReFT and its relatives (arXiv 2404.03592): one intervention at each edited layer and group of positions. A method
// for every formula in interventions/.
#include <algorithm>
#include <vector>

#include "reft/methods/edit_sites.h"
#include "reft/methods/method.h"

namespace csreft {
namespace {

class InterventionPass final : public MethodPass {
 public:
  InterventionPass(const EditSites& sites, const PromptBatch& batch)
      : sites_(sites), rows_(sites.rows(batch.prompts)), training_(batch.training) {}

  Attachments points() override { return attachments(rows_); }
  Attachments generated(std::span<const std::int32_t> examples) override {
    if (!sites_.edits_generated()) return {};
    return attachments(sites_.generated_rows(examples));
  }

 private:
  Attachments attachments(std::vector<EditRows> rows) const {
    Attachments points;
    points.block_output_layers = sites_.layers();
    points.block_output = [this, rows = std::move(rows)](std::int64_t layer, const Variable& hidden) {
      return sites_.apply(layer, hidden, rows, /*alpha=*/{}, training_);
    };
    return points;
  }

  const EditSites& sites_;
  std::vector<EditRows> rows_;
  std::optional<TrainingMoment> training_;
};

class InterventionMethod final : public Method {
 public:
  InterventionMethod(const Intervention& intervention, const EditOptions& options, const Llama& model,
                     std::uint64_t seed)
      : sites_(intervention, options, {}, model, seed) {}

  std::span<const Parameter> parameters() const override { return sites_.parameters(); }
  std::vector<std::string> notices() const override { return sites_.notices(); }
  std::unique_ptr<MethodPass> attach(const PromptBatch& batch) const override {
    refuse_alpha(batch);
    return std::make_unique<InterventionPass>(sites_, batch);
  }

 private:
  EditSites sites_;
};

class InterventionSettings final : public MethodSettings {
 public:
  explicit InterventionSettings(const Intervention& intervention) : intervention_(intervention) {
    options_.start = "published";
  }

  void describe(Options& options) override { options_.describe(options, intervention_); }
  std::unique_ptr<Method> create(const Llama& model, std::uint64_t seed) override {
    options_.resolve(model.config());
    return std::make_unique<InterventionMethod>(intervention_, options_, model, seed);
  }

 private:
  const Intervention& intervention_;
  EditOptions options_;
};

}  // namespace

std::span<const MethodEntry> intervention_methods() {
  static const auto entries = [] {
    std::vector<MethodEntry> made;
    for (const auto* intervention : interventions()) {
      made.push_back({intervention->name, intervention->formula,
                      [intervention] { return std::make_unique<InterventionSettings>(*intervention); }});
    }
    return made;
  }();
  return entries;
}

}  // namespace csreft
