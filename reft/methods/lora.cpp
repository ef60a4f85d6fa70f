// LoRA (arXiv 2106.09685): y = W x + (alpha / rank) B A x at the named linear layers of the chosen blocks, for every
// token. A starts with deviation 1 / sqrt(3 in) (as PEFT's Kaiming-uniform), B at zero.
#include <cmath>
#include <map>

#include "core/tensor/random.h"
#include "reft/methods/entries.h"
#include "reft/random_streams.h"

namespace csreft {
namespace {

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

class Lora : public Method {
 public:
  Lora(const MethodOptions& options, const LlamaConfig& config, std::uint64_t seed, const TensorOptions& tensors)
      : options_(options), factor_(options.lora_alpha / static_cast<double>(options.rank)) {
    check_rank(options.rank, 1, config);
    require(std::isfinite(options.lora_alpha), "LoRA's alpha {} is not possible: expected a number",
            options.lora_alpha);
    require(!options.targets.empty(), "LoRA has no target: expected linear layers such as q_proj,v_proj");
    std::uint64_t stream = first_place_stream;
    for (const auto layer : checked_layers(options, config)) {
      for (const auto& target : options.targets) {
        const LinearSite site = parse_linear_site(target);
        const auto [in, out] = extents_of(site, config);
        const double bound = 1.0 / std::sqrt(static_cast<double>(in));
        const std::string prefix = fmt::format("{}.{}", layer, target);
        const Place place{
            Variable::parameter(random_uniform({options.rank, in}, -bound, bound, seed, stream++, tensors)),
            Variable::parameter(Tensor::zeros({out, options.rank}, tensors))};
        require(places_.emplace(std::pair{layer, site}, place).second, "LoRA target {} is named twice", target);
        parameters_.push_back({.name = prefix + ".A", .value = place.A});
        parameters_.push_back({.name = prefix + ".B", .value = place.B});
      }
    }
  }

  const MethodOptions& options() const override { return options_; }
  std::span<const Parameter> parameters() const override { return parameters_; }

  MethodPass attach(const Llama& model, const PromptBatch&) const override {
    return {.points = attach_generated(model)};
  }

  Attachments attach_generated(const Llama&) const override {
    Attachments points;
    points.linear = [this](std::int64_t layer, LinearSite site, const Variable& x, const Variable& y) {
      const auto found = places_.find({layer, site});
      if (found == places_.end()) return y;
      return add(y, scale(linear(linear(x, found->second.A), found->second.B), factor_));
    };
    return points;
  }

 private:
  struct Place {
    Variable A;  // [rank, in]
    Variable B;  // [out, rank]
  };

  MethodOptions options_;
  double factor_;
  std::map<std::pair<std::int64_t, LinearSite>, Place> places_;
  std::vector<Parameter> parameters_;
};

}  // namespace

const MethodEntry lora_method{"lora",
                              "low-rank updates of linear layers: W x + (alpha / rank) B A x",
                              {"--rank", "--lora-alpha", "--targets"},
                              [](const MethodOptions& options, const LlamaConfig& config, std::uint64_t seed,
                                 const TensorOptions& tensors) -> std::unique_ptr<Method> {
                                return std::make_unique<Lora>(options, config, seed, tensors);
                              }};

}  // namespace csreft
