// CS-ReFT (arXiv 2503.10617): h' = h + sum_i alpha_i R_i^T (W_i h + b_i - R_i h), k subspaces with one router for all
// layers. The subspaces are stacked, so that an edit is one pass whatever k is: with R, W in R^{kr x d} and alpha
// repeated r times, h' = h + R^T (alpha * ((W - R) h + b)).
#include <cmath>

#include "reft/methods/edit_sites.h"
#include "reft/methods/entries.h"
#include "reft/random_streams.h"
#include "reft/router.h"
#include "reft/router_norm.h"

namespace csreft {
namespace {

class CsReft : public Method {
 public:
  CsReft(const MethodOptions& options, const LlamaConfig& config, std::uint64_t seed, DType dtype)
      : options_(options),
        sites_(find_intervention("loreft"), options, config, options.subspaces, seed, dtype),
        input_(find_router_input(options.router_input)),
        gate_(find_gate(options.gate)),
        penalty_(find_penalty(options.penalty)),
        parameters_(sites_.parameters()) {
    require(std::isfinite(options.lambda), "lambda {} is not possible: expected a number", options.lambda);
    require((options.penalty == "none") == (options.lambda == 0.0),
            "penalty {} with lambda {} has no effect: expected both a penalty and a lambda, or neither",
            options.penalty, options.lambda);
    require(options.router_hidden >= 1, "a router of hidden width {} is not possible: expected 1 or more",
            options.router_hidden);
    router_ = make_router_parameters({config.hidden_size, options.router_hidden, options.subspaces}, seed,
                                     router_stream, dtype);
    parameters_.insert(parameters_.end(), router_.begin(), router_.end());
    if (options.router_norm) norm_ = make_router_norm(config.hidden_size, dtype);
  }

  const MethodOptions& options() const override { return options_; }
  std::span<const Parameter> parameters() const override { return parameters_; }
  std::span<const std::pair<std::string, Tensor>> buffers() const override { return norm_; }

  void prepare(const Llama& model, std::span<const std::vector<std::int32_t>> prompts) override {
    if (options_.router_norm) fit_router_norm(norm_, input_, model, prompts);
  }

  MethodPass attach(const Llama& model, const PromptBatch& batch) const override {
    Tensor x = input_.read(model, batch.tokens, batch.prompts);
    if (options_.router_norm) x = standardise(norm_, x);
    const Variable alpha = gate_.apply(router_scores(x, router_));
    MethodPass pass;
    *pass.gates = alpha;
    pass.points.block_output = [this, alpha, rows = sites_.rows(batch.prompts)](std::int64_t layer,
                                                                                const Variable& hidden) {
      return sites_.apply(layer, hidden, rows, alpha);
    };
    return pass;
  }

  Variable penalty(const Variable& gates) const override {
    return options_.lambda == 0.0 ? Variable() : penalty_.apply(gates);
  }

 private:
  MethodOptions options_;
  EditSites sites_;
  const RouterInput& input_;
  const Gate& gate_;
  const Penalty& penalty_;
  std::vector<Parameter> router_;
  std::vector<Parameter> parameters_;  // the edits' and the router's
  std::vector<std::pair<std::string, Tensor>> norm_;
};

}  // namespace

const MethodEntry csreft_method{
    "csreft",
    "k subspaces mixed by a router: h + sum_i alpha_i R_i^T (W_i h + b_i - R_i h)",
    {"--rank", "--positions", "--tied", "--subspaces", "--joint", "--router-input", "--router-hidden", "--router-norm",
     "--router-lr", "--gate", "--penalty", "--lambda"},
    [](const MethodOptions& options, const LlamaConfig& config, std::uint64_t seed,
       DType dtype) -> std::unique_ptr<Method> { return std::make_unique<CsReft>(options, config, seed, dtype); }};

}  // namespace csreft
