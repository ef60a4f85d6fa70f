// LoRA (arXiv 2106.09685): y = W x + s B A x at the named linear layers of the chosen blocks; s = alpha / rank, or with
// rsLoRA (arXiv 2312.03732) alpha / sqrt(rank). A starts with deviation 1 / sqrt(3 in) (as PEFT's Kaiming-uniform), B
// at zero. `everywhere` updates every token; other positions restrict the update to those tokens of the prompt
// (prefill-only LoRA, arXiv 2605.14217).
#include <algorithm>
#include <array>

#include "reft/adapters/peft.h"
#include "reft/methods/lora_sites.h"
#include "reft/methods/method.h"

namespace csreft {
namespace {

class Lora final : public Method {
 public:
  Lora(const LoraOptions& options, const Llama& model, std::uint64_t seed)
      : model_(model), sites_(options, model, seed, first_lora_place) {}

  std::span<const Parameter> parameters() const override { return sites_.parameters(); }
  std::unique_ptr<MethodPass> attach(const PromptBatch& batch) const override {
    refuse_alpha(batch);
    return std::make_unique<LoraPass>(std::span(&sites_, 1), batch);
  }

  // In PEFT's layout; but for some tokens alone in this project's: whoever reads PEFT's updates every token.
  void save(const std::filesystem::path& folder, const LanguageModel& model) const override {
    if (!sites_.everywhere()) return Method::save(folder, model);
    write_peft(folder, sites_.adapter(model.path.string()), model_.config());
  }
  // What PEFT has written may have other ranks and places than the options say; what was written here may not.
  void load(const std::filesystem::path& folder) override {
    if (!sites_.everywhere()) return Method::load(folder);
    const LoraSites read(sites_.options(), read_peft(folder, model_.config()), model_);
    if (std::filesystem::exists(folder / "adapter.json")) read.check_like(sites_, folder.string());
    sites_ = read;
  }

 private:
  const Llama& model_;
  LoraSites sites_;
};

class LoraSettings final : public MethodSettings {
 public:
  void describe(Options& options) override { options_.describe(options); }
  std::unique_ptr<Method> create(const Llama& model, std::uint64_t seed) override {
    options_.resolve(model.config());
    return std::make_unique<Lora>(options_, model, seed);
  }

 private:
  LoraOptions options_;
};

}  // namespace

extern const MethodEntry lora_method;
const MethodEntry lora_method{"lora", "low-rank updates of linear layers: W x + (alpha / rank) B A x",
                              [] { return std::make_unique<LoraSettings>(); }};

}  // namespace csreft
