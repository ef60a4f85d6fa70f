// CS-ReFT (arXiv 2503.10617): h' = h + sum_i alpha_i R_i^T (W_i h + b_i - R_i h), k subspaces with one router for all
// layers. The subspaces are stacked, so that an edit is one pass whatever k is: with R, W in R^{kr x d} and alpha
// repeated r times, h' = h + R^T (alpha * ((W - R) h + b)).
#include <algorithm>
#include <cmath>

#include "reft/methods/edit_sites.h"
#include "reft/methods/entries.h"
#include "reft/random_streams.h"
#include "reft/router/norm.h"
#include "reft/router/router.h"

namespace csreft {
namespace {

// Statistics of the router's input are taken from so many prompts at most, evenly spread over all.
constexpr std::size_t most_prompts_read = 2048;

std::vector<std::vector<std::int32_t>> spread(std::span<const std::vector<std::int32_t>> prompts) {
  const std::size_t n = std::min(prompts.size(), most_prompts_read);
  std::vector<std::vector<std::int32_t>> some;
  for (std::size_t i = 0; i < n; ++i) some.push_back(prompts[i * prompts.size() / n]);
  return some;
}

class CsReft : public Method {
 public:
  CsReft(const MethodOptions& options, const LlamaConfig& config, std::uint64_t seed, const TensorOptions& tensors)
      : options_(options),
        seed_(seed),
        tensors_(tensors),
        sites_(find_intervention("loreft"), options, config, options.subspaces, seed, tensors),
        input_(find_router_input(options.router_input)),
        start_(find_router_start(options.router_start)),
        gate_(find_gate(options.gate)),
        penalty_(find_penalty(options.penalty)),
        parameters_(sites_.parameters()) {
    check_gate();
    check_router_layer(checked_layers(options, config).front());
    if (gate_.source != GateSource::router) return;
    router_ = make_router_parameters({config.hidden_size, options.router_hidden, options.subspaces}, seed,
                                     router_stream, tensors);
    parameters_.insert(parameters_.end(), router_.begin(), router_.end());
    if (options.router_norm) norm_ = make_router_norm(config.hidden_size, tensors);
  }

  const MethodOptions& options() const override { return options_; }
  std::span<const Parameter> parameters() const override { return parameters_; }
  std::span<const std::pair<std::string, Tensor>> buffers() const override { return norm_; }

  std::string prepare(const Llama& model, std::span<const std::vector<std::int32_t>> prompts,
                      const OnRead& on_read) override {
    if (router_.empty() || (norm_.empty() && !start_.reads_prompts)) return {};
    Tensor x = read_router_inputs(input_, options_.router_layer, model, spread(prompts), on_read);
    if (!norm_.empty()) {
      fit_router_norm(norm_, x);
      x = standardise(norm_, x);
    }
    const std::int64_t used = start_.set(router_, x, seed_);
    if (used == options_.subspaces) return {};
    return used == 0 ? "the router reads the same of every prompt, and cannot tell them apart"
                     : fmt::format("the prompts fall into {} clusters, so {} of {} subspaces are used", used, used,
                                   options_.subspaces);
  }

  // The router's input is at hand before the first edit: embeddings at once, hidden states when their block is done.
  MethodPass attach(const Llama& model, const PromptBatch& batch) const override {
    MethodPass pass;
    const auto n = static_cast<std::int64_t>(batch.prompts.starts.size());
    const std::vector<std::int32_t> tasks(batch.tasks.begin(), batch.tasks.end());
    const bool reads_hidden = !router_.empty() && input_.states == RouterStates::hidden;
    if (!reads_hidden) {
      const Tensor x = router_.empty() ? Tensor() : read_router_input(input_, -1, model, batch.tokens, batch.prompts);
      *pass.gates = gates_of(x, tasks, n);
    }
    pass.points.block_output_layers = sites_.layers();
    if (reads_hidden) pass.points.block_output_layers->insert(options_.router_layer);
    pass.points.block_output = [this, gates = pass.gates, prompts = batch.prompts, reads_hidden, tasks, n,
                                rows = sites_.rows(batch.prompts)](std::int64_t layer, const Variable& hidden) {
      if (reads_hidden && layer == options_.router_layer) {
        *gates = gates_of(mean_states(input_, hidden.value(), prompts), tasks, n);
      }
      return sites_.apply(layer, hidden, rows, gates->alpha);
    };
    return pass;
  }

  Gates route(const Llama& model, std::span<const std::vector<std::int32_t>> prompts,
              std::span<const std::int32_t> tasks) const override {
    const Tensor x = router_.empty() ? Tensor() : read_router_inputs(input_, options_.router_layer, model, prompts);
    return gates_of(x, tasks, static_cast<std::int64_t>(prompts.size()));
  }

  bool needs_task() const override { return gate_.source == GateSource::task; }

  Variable penalty(const Gates& gates) const override {
    return options_.lambda == 0.0 ? Variable() : penalty_.apply(gates.probabilities);
  }

  bool penalty_is_mean() const override { return options_.lambda == 0.0 || penalty_.mean_of_examples; }

  std::vector<Tensor> bases() const override {
    std::vector<Tensor> bases;
    for (const auto& p : sites_.parameters()) {
      if (p.manifold == ParameterManifold::stiefel) bases.push_back(p.value.value());
    }
    return bases;
  }

 private:
  void check_gate() const {
    require(std::isfinite(options_.lambda), "lambda {} is not possible: expected a number", options_.lambda);
    require(options_.router_hidden >= 1, "a router of hidden width {} is not possible: expected 1 or more",
            options_.router_hidden);
    require(options_.lambda >= 0.0, "lambda {} rewards what penalty {} is against: expected more than 0",
            options_.lambda, options_.penalty);
    require(options_.penalty == "none" || gate_.source == GateSource::router,
            "gate {} asks no router, so penalty {} has no effect: expected penalty none", gate_.name, penalty_.name);
    require(penalty_.of_competing || !gate_.competing,
            "penalty {} is a constant for gate {}, of which an example has one in all: expected gate soft",
            penalty_.name, gate_.name);
    require(penalty_.of_independent || gate_.competing,
            "penalty {} is for gates of which an example has one in all: expected gate softmax or top1, not {}",
            penalty_.name, gate_.name);
    require((options_.penalty == "none") == (options_.lambda == 0.0),
            "penalty {} with lambda {} has no effect: expected both a penalty and a lambda, or neither",
            options_.penalty, options_.lambda);
    require(!start_.reads_prompts || options_.router_hidden >= options_.subspaces,
            "a router of hidden width {} cannot start from {} clusters: expected a width of at least {}",
            options_.router_hidden, options_.subspaces, options_.subspaces);
    if (gate_.source != GateSource::task) return;
    require(!options_.tasks.empty(), "gate {} needs the names of the tasks", gate_.name);
    require(static_cast<std::int64_t>(options_.tasks.size()) <= options_.subspaces,
            "gate {} gives each task a subspace: expected --subspaces of at least {}, the number of tasks, not {}",
            gate_.name, options_.tasks.size(), options_.subspaces);
  }

  // "hidden" reads a block's output that no edit has changed: of one below the first edit, or of that one, before it.
  void check_router_layer(std::int64_t first_edit) {
    if (gate_.source != GateSource::router || input_.states != RouterStates::hidden) {
      require(options_.router_layer == -1, "router input {} reads no layer: expected no --router-layer, or hidden",
              input_.name);
      return;
    }
    if (options_.router_layer == -1) options_.router_layer = std::max<std::int64_t>(first_edit - 1, 0);
    require(0 <= options_.router_layer && options_.router_layer <= first_edit,
            "router input hidden cannot read layer {}: expected one from 0 to {}, where the first edit is",
            options_.router_layer, first_edit);
  }

  // x: the router's input [n, d]; undefined where no router is asked.
  Gates gates_of(Tensor x, std::span<const std::int32_t> tasks, std::int64_t n) const {
    GateInput input{.scores = {}, .tasks = tasks, .examples = n, .subspaces = options_.subspaces, .tensors = tensors_};
    if (gate_.source == GateSource::router) {
      if (!norm_.empty()) x = standardise(norm_, x);
      input.scores = router_scores(x, router_);
    } else if (gate_.source == GateSource::task) {
      require(static_cast<std::int64_t>(tasks.size()) == n,
              "gate {} is decided by the task: expected --task with one of {}", gate_.name,
              fmt::join(options_.tasks, ", "));
    }
    return gate_.apply(input);
  }

  MethodOptions options_;
  std::uint64_t seed_;
  TensorOptions tensors_;
  EditSites sites_;
  const RouterInput& input_;
  const RouterStart& start_;
  const Gate& gate_;
  const Penalty& penalty_;
  std::vector<Parameter> router_;      // empty where the gate asks no router
  std::vector<Parameter> parameters_;  // the edits' and the router's
  std::vector<std::pair<std::string, Tensor>> norm_;
};

}  // namespace

const MethodEntry csreft_method{
    "csreft",
    "k subspaces mixed by a router: h + sum_i alpha_i R_i^T (W_i h + b_i - R_i h)",
    {"--rank", "--positions", "--tied", "--subspaces", "--joint", "--preset", "--router-input", "--router-layer",
     "--router-hidden", "--router-norm", "--router-start", "--router-lr", "--gate", "--penalty", "--lambda"},
    [](const MethodOptions& options, const LlamaConfig& config, std::uint64_t seed, const TensorOptions& tensors)
        -> std::unique_ptr<Method> { return std::make_unique<CsReft>(options, config, seed, tensors); }};

}  // namespace csreft
