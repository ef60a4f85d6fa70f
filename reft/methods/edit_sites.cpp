#include "reft/methods/edit_sites.h"

#include <algorithm>
#include <array>

#include "reft/random_streams.h"

namespace csreft {
namespace {

struct EditStart {
  std::string_view name, summary;
};
constexpr std::string_view identity_name = "identity";
constexpr std::array starts{
    EditStart{"published", "as the method's source draws them"},
    EditStart{identity_name, "so that a new edit changes nothing, where the formula allows it"}};

}  // namespace

void EditOptions::describe(Options& options, const Intervention& intervention) {
  options.add("layers", layers,
              "edited blocks, 0-based: numbers such as 6,12,18,24, all, auto (four, evenly spread), or '3,9,18,24 of "
              "32' (as in another depth)");
  if (has_rank(intervention)) options.add("rank", rank, "rank r of each subspace", at_least(1));
  options.add("positions", positions, positions_help());
  options.add("tied", tied, "one set of parameters for all positions");
  options.add_name("edit_start", start, "where an edit's parameters start", starts);
  options.add("dropout", dropout, "share of the components of an edited state that training drops",
              share_less_than_one());
  if (has_source(intervention)) {
    options.add_name("activation", activation, "of the edit's source W h + b", activations());
  }
}

void EditOptions::resolve(const LlamaConfig& config) { layers = layers_text(parse_layers(layers, config.n_layers)); }

EditSites::EditSites(const Intervention& intervention, const EditOptions& options, const InterventionShape& shape,
                     const Llama& model, std::uint64_t seed, const EditSet& set)
    : intervention_(intervention),
      activation_(find_activation(options.activation)),
      shape_(shape),
      tensors_(model.options()),
      seed_(seed),
      asks_identity_(options.start == identity_name),
      dropout_(options.dropout),
      groups_(parse_positions(options.positions, options.tied)) {
  const LlamaConfig& config = model.config();
  if (has_rank(intervention)) check_rank(options.rank, shape.blocks, config);
  shape_.hidden = config.hidden_size;
  shape_.rank = options.rank;
  std::size_t index = 0;
  for (const auto layer : parse_layers(options.layers, config.n_layers)) {
    for (const auto& group : groups_) {
      Place& here = places_[layer].emplace_back(Place{index, set.first_place + index, {}});
      ++index;
      auto made = make_intervention_parameters(intervention, fmt::format("{}{}.{}", set.prefix, layer, group.side),
                                               shape_, asks_identity_, seed, here.number, tensors_);
      for (auto& parameter : made) {
        here.values.push_back(parameter.value);
        parameters_.push_back(std::move(parameter));
      }
    }
  }
}

std::vector<std::string> EditSites::notices() const {
  if (!asks_identity_ || starts_as_identity(intervention_, activation_)) return {};
  return {fmt::format(
      "{}{} has no start that leaves hidden states as they are: new edits change them, with "
      "--edit-start {}, too",
      intervention_.name, activation_.apply == nullptr ? "" : fmt::format(" with --activation {}", activation_.name),
      identity_name)};
}

std::set<std::int64_t> EditSites::layers() const {
  std::set<std::int64_t> layers;
  for (const auto& [layer, values] : places_) layers.insert(layer);
  return layers;
}

std::vector<EditRows> EditSites::rows(const PromptSpans& prompts) const {
  std::vector<EditRows> rows;
  for (const auto& group : groups_) rows.push_back(edit_rows(group, prompts));
  return rows;
}

std::vector<EditRows> EditSites::generated_rows(std::span<const std::int32_t> examples) const {
  const EditRows all = csreft::generated_rows(examples);
  std::vector<EditRows> rows;
  for (const auto& group : groups_) rows.push_back(group.generated ? all : EditRows{});
  return rows;
}

std::vector<Tensor> EditSites::bases() const {
  const auto written =
      std::ranges::find(intervention_.parameters, Extent::rank_by_hidden, &InterventionParameter::extent) -
      intervention_.parameters.begin();
  std::vector<Tensor> bases;
  for (const auto& [layer, places] : places_) {
    for (const auto& place : places) bases.push_back(place.values.at(static_cast<std::size_t>(written)).value());
  }
  return bases;
}

PlaceValues EditSites::values() const {
  PlaceValues values;
  for (const auto& [layer, places] : places_) {
    for (const auto& place : places) values.push_back(place.values);
  }
  return values;
}

void EditSites::restart(std::span<const Tensor> earlier) {
  for (const auto& [layer, places] : places_) {
    for (const auto& place : places) {
      InterventionShape shape = shape_;
      shape.outside = earlier[place.index];
      const auto made =
          make_intervention_parameters(intervention_, {}, shape, asks_identity_, seed_, place.number, tensors_);
      for (std::size_t i = 0; i < made.size(); ++i) ops::copy_(place.values[i].value(), made[i].value.value());
    }
  }
}

bool EditSites::edits_generated() const { return std::ranges::any_of(groups_, &PositionGroup::generated); }

Variable EditSites::drop(const Variable& hidden, const EditRows& rows, std::size_t g, const Place& place,
                         const TrainingMoment& moment) const {
  const std::uint64_t stream = stream_of_moment(dropout_stream, moment, place.number);
  const auto first = static_cast<std::uint64_t>(count_edit_rows(groups_[g], moment.before) * shape_.hidden);
  return replace_rows(hidden, rows.index,
                      dropout(gather_rows(hidden, rows.index), dropout_, moment.seed, stream, first));
}

Variable EditSites::apply(std::int64_t layer, const Variable& hidden, std::span<const EditRows> rows,
                          const Variable& alpha, const std::optional<TrainingMoment>& training,
                          const PlaceValues* values) const {
  const auto found = places_.find(layer);
  if (found == places_.end()) return hidden;
  Variable edited = hidden;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (!rows[g].index.defined()) continue;
    const Place& place = found->second[g];
    const InterventionValues here = values != nullptr ? (*values)[place.index] : place.values;
    edited = intervention_.apply({edited, rows[g], here, alpha, activation_});
    if (training && dropout_ > 0.0) edited = drop(edited, rows[g], g, place, *training);
  }
  return edited;
}

void check_rank(std::int64_t rank, std::int64_t subspaces, const LlamaConfig& config) {
  require(rank >= 1, "rank {} is not possible: expected 1 or more", rank);
  require(subspaces >= 1, "{} subspaces are not possible: expected 1 or more", subspaces);
  require(rank * subspaces <= config.hidden_size,
          "{} subspace(s) of rank {} do not fit hidden states of size {}: expected rank x subspaces of at most {}",
          subspaces, rank, config.hidden_size, config.hidden_size);
}

}  // namespace csreft
