// LoRA's matrices at the linear layers of chosen blocks, and how they take part in a forward pass.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/options.h"
#include "reft/adapters/lora_adapter.h"
#include "reft/methods/method.h"

namespace csreft {

struct LoraOptions {
  std::string layers = "auto";
  std::int64_t rank = 4;
  double alpha = 32.0;
  bool rslora = false;
  double dropout = 0.0;  // of the update's input x
  std::vector<std::string> targets{"q_proj", "v_proj"};
  std::string positions = "everywhere";

  void describe(Options& options);
  // Replaces "auto" by the layers themselves. Throws Error for layers that the model lacks and for wrong targets.
  void resolve(const LlamaConfig& config);
};

// The place of a method's first matrix among the streams of random_streams.h.
inline constexpr std::uint64_t first_lora_place = 0;

class LoraSites {
 public:
  struct Place {
    Variable A;  // [rank, in]
    Variable B;  // [out, rank]
    double alpha, scale;
    std::uint64_t number;
  };

  // Parameters are "PREFIXLAYER.TARGET.A" and ".B"; matrix i is drawn from the stream of place first_place + i.
  LoraSites(const LoraOptions& options, const Llama& model, std::uint64_t seed, std::uint64_t first_place,
            const std::string& prefix = {});
  // With the matrices of an adapter, whose modules may have ranks and scales of their own.
  LoraSites(const LoraOptions& options, const LoraAdapter& adapter, const Llama& model);

  const LoraOptions& options() const { return options_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::map<std::pair<std::int64_t, LinearSite>, Place>& places() const { return places_; }
  // Whether every token is updated, of prompts, responses and what is generated.
  bool everywhere() const { return positions_.generated; }
  // The matrices as values on the host, for a file. base_model: its path or name.
  LoraAdapter adapter(const std::string& base_model) const;
  // Throws Error unless the places and the shapes of their matrices are those of `other`; `where` names the file.
  void check_like(const LoraSites& other, const std::string& where) const;
  // The rows that are updated, where not all are.
  RowIndex rows(const PromptSpans& prompts) const;
  // y + s B A x [n, out] at layer `layer`, if it is a target; at the rows given, or (undefined) at all. `frozen`: A and
  // B get no gradient, and no dropout.
  Variable apply(std::int64_t layer, LinearSite site, const Variable& x, const Variable& y, const RowIndex& rows,
                 const std::optional<TrainingMoment>& training, bool frozen = false) const;

 private:
  LoraOptions options_;
  void add(std::int64_t layer, LinearSite site, Place place, const std::string& prefix);

  PositionGroup positions_;  // one set of parameters for all; `generated` comes with all of the prompt
  std::map<std::pair<std::int64_t, LinearSite>, Place> places_;
  std::vector<Parameter> parameters_;
};

// The updates of several sets of matrices, one after the other. The first `frozen` of them get no gradient.
class LoraPass final : public MethodPass {
 public:
  LoraPass(std::span<const LoraSites> sites, const PromptBatch& batch, std::size_t frozen = 0);

  Attachments points() override;
  Attachments generated(std::span<const std::int32_t> examples) override;

 private:
  std::span<const LoraSites> sites_;
  std::vector<RowIndex> rows_;  // of each set
  std::size_t frozen_;
  std::optional<TrainingMoment> training_;
};

}  // namespace csreft
