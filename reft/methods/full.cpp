// Full fine-tuning: every weight of the model, in f32. Activations are recomputed block by block in the backward
// (arXiv 1604.06174), unless asked otherwise.
#include <algorithm>

#include "models/checkpoints/hugging_face_writer.h"
#include "models/checkpoints/open_checkpoint.h"
#include "reft/methods/method.h"

namespace csreft {
namespace {

class FullPass final : public MethodPass {
 public:
  explicit FullPass(bool checkpointing) : checkpointing_(checkpointing) {}
  Attachments points() override {
    Attachments points;
    points.checkpointing = checkpointing_;
    return points;
  }

 private:
  bool checkpointing_;
};

class Full final : public Method {
 public:
  Full(const Llama& model, bool checkpointing) : checkpointing_(checkpointing) {
    require(!model.parameters().empty(), "full fine-tuning needs a model whose weights can be trained: expected f32");
    for (const auto& [name, value] : model.parameters()) {
      parameters_.push_back({.name = name, .value = value, .part = ParameterPart::model});
    }
  }

  std::span<const Parameter> parameters() const override { return parameters_; }
  std::unique_ptr<MethodPass> attach(const PromptBatch& batch) const override {
    refuse_alpha(batch);
    return std::make_unique<FullPass>(checkpointing_ && batch.training.has_value());
  }

  void check_save(const LanguageModel& model) const override { check_hugging_face_form(open_checkpoint(model.path)); }
  // A Hugging Face folder, which is a model by itself.
  void save(const std::filesystem::path& folder, const LanguageModel& model) const override {
    write_hugging_face(folder, open_checkpoint(model.path), [&](const std::string& name) {
      const auto found = std::ranges::find(parameters_, name, &Parameter::name);
      require(found != parameters_.end(), "{} has no parameter {}", model.name, name);
      return found->value.value();
    });
  }
  void load(const std::filesystem::path& folder) override {
    const Checkpoint saved = open_checkpoint(folder);
    for (const auto& p : parameters_) ops::copy_(p.value.value(), saved.tensor(p.name));
  }

 private:
  bool checkpointing_;
  std::vector<Parameter> parameters_;
};

class FullSettings final : public MethodSettings {
 public:
  void describe(Options& options) override {
    options.add("checkpointing", checkpointing_, "recompute a block's activations in the backward: less memory");
  }
  bool trains_model() const override { return true; }
  std::unique_ptr<Method> create(const Llama& model, std::uint64_t /*seed*/) override {
    return std::make_unique<Full>(model, checkpointing_);
  }

 private:
  bool checkpointing_ = true;
};

}  // namespace

extern const MethodEntry full_method;
const MethodEntry full_method{"full", "every weight of the model", [] { return std::make_unique<FullSettings>(); }};

}  // namespace csreft
