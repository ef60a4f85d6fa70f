// Where the representation-editing methods attach: after blocks, at groups of positions, with the parameters of one
// intervention at each place.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/base/options.h"
#include "models/llama/llama.h"
#include "reft/interventions/intervention.h"
#include "reft/positions.h"
#include "reft/training_moment.h"

namespace csreft {

// What the methods that edit hidden states have in common.
struct EditOptions {
  std::string layers = "auto";
  std::int64_t rank = 4;
  std::string positions = "all";
  bool tied = false;
  std::string start;  // "published" or "identity"
  double dropout = 0.0;
  std::string activation = "linear";

  void describe(Options& options, const Intervention& intervention);
  // Replaces "auto" by the layers themselves. Throws Error for layers that the model lacks.
  void resolve(const LlamaConfig& config);
};

// An intervention's values at each place, in rising order of layers, and in each layer in that of the position groups.
using PlaceValues = std::vector<std::vector<Variable>>;

// Which of a method's edits these are, where it has several sets of them.
struct EditSet {
  std::uint64_t first_place = 0;  // their first place among the streams of random_streams.h
  std::string prefix{};           // of their parameters' names
};

// One intervention at every (layer, position group) of an adapter.
class EditSites {
 public:
  // `blocks` stacked subspaces at each place. Parameters are "PREFIXLAYER.SIDE.LETTER", in the order of places; those
  // of place i are drawn from the streams of place first_place + i of `seed`. `shape` says how the blocks lie to each
  // other; its hidden size and rank are set here. Throws Error for a rank that does not fit the model.
  EditSites(const Intervention& intervention, const EditOptions& options, const InterventionShape& shape,
            const Llama& model, std::uint64_t seed, const EditSet& set = {});

  const std::vector<Parameter>& parameters() const { return parameters_; }
  // Method::notices of the options.
  std::vector<std::string> notices() const;
  // The layers that are edited.
  std::set<std::int64_t> layers() const;
  // The edited rows of a packed batch, for each group. Throws Error where a prompt is edited nowhere.
  std::vector<EditRows> rows(const PromptSpans& prompts) const;
  // The rows that are edited in a batch of one generated token of each of `examples`, for each group: none for groups
  // that end with the prompt.
  std::vector<EditRows> generated_rows(std::span<const std::int32_t> examples) const;
  bool edits_generated() const;
  // What an intervention of low rank writes along, of each place: R or V [blocks * rank, d].
  std::vector<Tensor> bases() const;
  // The parameters' values.
  PlaceValues values() const;
  // Overwrites all parameters with those of a new start, R orthogonal to the orthonormal rows earlier[i], [m, d], at
  // place i.
  void restart(std::span<const Tensor> earlier);
  // Applies the edits of block `layer` (none if it is not edited): hidden [n, d], rows for each group, gates alpha
  // [s, k] (undefined: none), whose rows the rows' `example` counts. `values`: in place of the parameters'.
  Variable apply(std::int64_t layer, const Variable& hidden, std::span<const EditRows> rows, const Variable& alpha,
                 const std::optional<TrainingMoment>& training, const PlaceValues* values = nullptr) const;

 private:
  struct Place {
    std::size_t index;     // of these places
    std::uint64_t number;  // of all places of the method
    std::vector<Variable> values;
  };
  // Dropout at the rows of group g.
  Variable drop(const Variable& hidden, const EditRows& rows, std::size_t g, const Place& place,
                const TrainingMoment& moment) const;

  const Intervention& intervention_;
  const Activation& activation_;
  InterventionShape shape_;
  TensorOptions tensors_;
  std::uint64_t seed_;
  bool asks_identity_;  // --edit-start
  double dropout_;
  std::vector<PositionGroup> groups_;
  std::vector<Parameter> parameters_;
  std::map<std::int64_t, std::vector<Place>> places_;  // layer -> one for each group
};

// "auto" -> four layers at fifths of the depth (6, 12, 18 and 24 of 30); "all"; "6,12,18,24"; or, "3,9,18,24 of 32",
// the layers at the same share of another depth. In rising order. Throws Error for other text, for a layer that the
// model lacks, and for one that is named twice.
std::vector<std::int64_t> parse_layers(const std::string& text, std::int64_t n_layers);
// The layers as text that parse_layers() reads.
std::string layers_text(std::span<const std::int64_t> layers);

// Throws Error unless 1 <= rank * subspaces <= hidden size.
void check_rank(std::int64_t rank, std::int64_t subspaces, const LlamaConfig& config);

}  // namespace csreft
