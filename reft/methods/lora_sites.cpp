#include "reft/methods/lora_sites.h"

#include <algorithm>
#include <cmath>

#include "core/tensor/random.h"
#include "reft/methods/edit_sites.h"
#include "reft/random_streams.h"

namespace csreft {
namespace {

// PEFT's short names, too: q, down.
std::string full_name(const std::string& target) {
  const auto names = linear_site_names();
  const std::string whole = target + "_proj";
  return std::ranges::find(names, whole) != names.end() ? whole : std::string(to_string(parse_linear_site(target)));
}

struct Extents {
  std::int64_t in, out;
};

Extents extents_of(LinearSite site, const LlamaConfig& config) {
  const std::int64_t d = config.hidden_size;
  switch (site) {
    case LinearSite::q_proj: return {d, config.n_heads * config.head_dim};
    case LinearSite::k_proj:
    case LinearSite::v_proj: return {d, config.n_kv_heads * config.head_dim};
    case LinearSite::o_proj: return {config.n_heads * config.head_dim, d};
    case LinearSite::down_proj: return {config.intermediate_size, d};
    default: return {d, config.intermediate_size};
  }
}

}  // namespace

void LoraOptions::describe(Options& options) {
  options.add("layers", layers,
              "blocks that are updated, 0-based: numbers such as 6,12,18,24, all, or auto (four, evenly spread)");
  options.add("rank", rank, "rank r of A and B", at_least(1));
  options.add("lora_alpha", alpha, "scale: updates are multiplied by alpha / rank",
              Range<double>{"a number", [](double x) { return std::isfinite(x); }});
  options.add("rslora", rslora, "multiply by alpha / sqrt(rank) instead");
  options.add("dropout", dropout, "share of the components of an update's input that training drops",
              share_less_than_one());
  options.add("targets", targets,
              fmt::format("linear layers that are updated, of {}; or short: q, k, v, o, gate, up, down",
                          fmt::join(linear_site_names(), ", ")));
  options.add("positions", positions, "tokens whose layers are updated: everywhere, or some of the prompt's");
}

void LoraOptions::resolve(const LlamaConfig& config) {
  layers = layers_text(parse_layers(layers, config.n_layers));
  require(!targets.empty(), "LoRA has no target: expected linear layers such as q_proj,v_proj");
  for (auto& target : targets) {
    target = full_name(target);
  }
}

LoraSites::LoraSites(const LoraOptions& options, const Llama& model, std::uint64_t seed, std::uint64_t first_place,
                     const std::string& prefix)
    : options_(options), positions_(parse_positions(options.positions, /*tied=*/true).front()) {
  const LlamaConfig& config = model.config();
  check_rank(options.rank, 1, config);
  std::uint64_t place = first_place;
  for (const auto layer : parse_layers(options.layers, config.n_layers)) {
    for (const auto& target : options.targets) {
      const LinearSite site = parse_linear_site(target);
      const auto [in, out] = extents_of(site, config);
      const double bound = 1.0 / std::sqrt(static_cast<double>(in));
      require(!places_.contains({layer, site}), "LoRA target {} is named twice: expected each target once", target);
      add(layer, site,
          {Variable::parameter(
               random_uniform({options.rank, in}, -bound, bound, seed, first_place_stream + place, model.options())),
           Variable::parameter(Tensor::zeros({out, options.rank}, model.options())), options.alpha,
           lora_scale(options.alpha, options.rank, options.rslora), place},
          prefix);
      ++place;
    }
  }
}

LoraSites::LoraSites(const LoraOptions& options, const LoraAdapter& adapter, const Llama& model)
    : options_(options), positions_(parse_positions(options.positions, /*tied=*/true).front()) {
  std::uint64_t place = first_lora_place;
  for (const auto& module : adapter.modules) {
    add(module.layer, module.site,
        {Variable::parameter(module.A.to(model.options()).clone()),
         Variable::parameter(module.B.to(model.options()).clone()), module.alpha,
         lora_scale(module.alpha, module.rank(), adapter.use_rslora), place++},
        "");
  }
}

void LoraSites::add(std::int64_t layer, LinearSite site, Place place, const std::string& prefix) {
  const std::string name = fmt::format("{}{}.{}", prefix, layer, to_string(site));
  parameters_.push_back({.name = name + ".A", .value = place.A, .part = ParameterPart::adapters});
  parameters_.push_back({.name = name + ".B", .value = place.B, .part = ParameterPart::adapters});
  places_.emplace(std::pair{layer, site}, std::move(place));
}

LoraAdapter LoraSites::adapter(const std::string& base_model) const {
  LoraAdapter adapter{.rank = options_.rank,
                      .alpha = options_.alpha,
                      .use_rslora = options_.rslora,
                      .dropout = options_.dropout,
                      .base_model = base_model,
                      .modules = {}};
  const TensorOptions host(DType::f32);
  for (const auto& [where, place] : places_) {
    adapter.modules.push_back({.layer = where.first,
                               .site = where.second,
                               .alpha = place.alpha,
                               .A = place.A.value().to(host),
                               .B = place.B.value().to(host)});
  }
  return adapter;
}

void LoraSites::check_like(const LoraSites& other, const std::string& where) const {
  require(places_.size() == other.places_.size(), "{} has {} modules, its adapter.json {}", where, places_.size(),
          other.places_.size());
  for (const auto& [at, place] : other.places_) {
    const auto found = places_.find(at);
    const std::string name = fmt::format("{} of layer {}", to_string(at.second), at.first);
    require(found != places_.end(), "{} has no {}, which its adapter.json names", where, name);
    require(found->second.A.shape() == place.A.shape(), "{}: A of {} has shape {}, its adapter.json expects {}", where,
            name, found->second.A.shape().str(), place.A.shape().str());
  }
}

RowIndex LoraSites::rows(const PromptSpans& prompts) const {
  return everywhere() ? RowIndex() : edit_rows(positions_, prompts).index;
}

Variable LoraSites::apply(std::int64_t layer, LinearSite site, const Variable& x, const Variable& y,
                          const RowIndex& rows, const std::optional<TrainingMoment>& training, bool frozen) const {
  const auto found = places_.find({layer, site});
  if (found == places_.end()) return y;
  const Place& place = found->second;
  const Variable A = frozen ? place.A.detach() : place.A, B = frozen ? place.B.detach() : place.B;
  Variable read = rows.defined() ? gather_rows(x, rows) : x;
  if (training && !frozen && options_.dropout > 0.0) {
    const std::uint64_t stream = stream_of_moment(dropout_stream, *training, place.number);
    const std::int64_t before = everywhere() ? training->rows_before() : count_edit_rows(positions_, training->before);
    const auto first = static_cast<std::uint64_t>(before * read.shape()[1]);
    read = dropout(read, options_.dropout, training->seed, stream, first);
  }
  const Variable update = csreft::scale(linear(linear(read, A), B), place.scale);
  return rows.defined() ? add_at_rows(y, rows, update) : csreft::add(y, update);
}

LoraPass::LoraPass(std::span<const LoraSites> sites, const PromptBatch& batch, std::size_t frozen)
    : sites_(sites), frozen_(frozen), training_(batch.training) {
  for (const auto& set : sites) rows_.push_back(set.rows(batch.prompts));
}

Attachments LoraPass::points() {
  Attachments points;
  points.linear = [this](std::int64_t layer, LinearSite site, const Variable& x, const Variable& y) {
    Variable updated = y;
    for (std::size_t i = 0; i < sites_.size(); ++i) {
      updated = sites_[i].apply(layer, site, x, updated, rows_[i], training_, i < frozen_);
    }
    return updated;
  };
  return points;
}

Attachments LoraPass::generated(std::span<const std::int32_t> /*examples*/) {
  Attachments points;
  points.linear = [this](std::int64_t layer, LinearSite site, const Variable& x, const Variable& y) {
    Variable updated = y;
    for (const auto& set : sites_) {
      if (set.everywhere()) updated = set.apply(layer, site, x, updated, {}, {});
    }
    return updated;
  };
  return points;
}

}  // namespace csreft
