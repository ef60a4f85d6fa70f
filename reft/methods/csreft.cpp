// CS-ReFT (arXiv 2503.10617): h' = h + sum_i alpha_i R_i^T (W_i h + b_i - R_i h), k subspaces with one router for all
// layers. The subspaces are stacked, so that an edit is one pass whatever k is: with R, W in R^{kr x d} and alpha
// repeated r times, h' = h + R^T (alpha * ((W - R) h + b)). Another formula of low rank may take LoReFT's place.
#include <algorithm>
#include <array>

#include "reft/methods/csreft_settings.h"
#include "reft/random_streams.h"
#include "reft/router/norm.h"

namespace csreft {
namespace {

// Where gates are by token, statistics of the router's input are taken from so many tokens at most.
constexpr std::size_t most_tokens_read = 4096;

// Without its gates: what the passes over batches share.
class CsReft final : public Method, public Routing {
 public:
  CsReft(const CsReftOptions& options, const Llama& model, std::uint64_t seed)
      : options_(options),
        model_(model),
        seed_(seed),
        sites_(find_intervention(options.edit), options.edits, shape_of(options), model, seed),
        input_(find_router_input(options.router_input)),
        start_(find_router_start(options.router_start)),
        penalty_(find_penalty(options.penalty)),
        parameters_(sites_.parameters()) {
    if (options_.shared > 0) make_shared();
    if (!options_.asks_router()) return;
    const std::int64_t d = model.config().hidden_size;
    router_ = make_router_parameters({d, options.router_hidden, options.competing()}, options.router_lr, seed,
                                     router_stream, model.options());
    parameters_.insert(parameters_.end(), router_.begin(), router_.end());
    if (options.router_norm) norm_ = make_router_norm(d, model.options());
  }

  std::span<const Parameter> parameters() const override { return parameters_; }
  std::span<const std::pair<std::string, Tensor>> buffers() const override { return norm_; }
  const Routing* routing() const override { return this; }
  std::vector<std::string> notices() const override {
    auto all = sites_.notices();
    const std::int64_t used = std::ssize(tasks());
    if (used > 0 && used < options_.competing()) {
      all.push_back(fmt::format(
          "gate {} opens a subspace for each of {} tasks: the other {} of {} never open, and --subspaces {} is without "
          "them",
          gate(), used, options_.competing() - used, options_.subspaces, options_.shared + used));
    }
    return all;
  }

  std::string prepare(std::span<const std::vector<std::int32_t>> prompts, const OnRead& on_read) override {
    if (router_.empty() || (norm_.empty() && !start_.reads_prompts)) return {};
    Tensor x = read_inputs(spread_prompts(prompts), on_read);
    if (!norm_.empty()) {
      fit_router_norm(norm_, x);
      x = standardise(norm_, x);
    }
    const std::int64_t used = start_.set(router_, x, seed_);
    if (used == options_.competing()) return {};
    const char* row = options_.by_token() ? "token" : "prompt";
    return used == 0 ? fmt::format("the router reads the same of every {}, and cannot tell them apart", row)
                     : fmt::format("the {}s fall into {} clusters, so {} of {} subspaces are used", row, used, used,
                                   options_.competing());
  }

  std::unique_ptr<MethodPass> attach(const PromptBatch& batch) const override;

  std::string_view gate() const override { return options_.gate.name(); }
  std::int64_t subspaces() const override { return options_.subspaces; }
  std::int64_t shared() const override { return options_.shared; }
  std::span<const std::string> tasks() const override {
    return options_.gate->source() == GateSource::task ? std::span<const std::string>(options_.tasks)
                                                       : std::span<const std::string>();
  }
  Variable penalty(const Gates& gates) const override {
    return lambda() == 0.0 ? Variable() : penalty_.apply(gates.probabilities);
  }
  bool by_token() const override { return options_.by_token(); }
  double lambda() const override { return options_.asks_router() ? options_.lambda : 0.0; }
  bool penalty_is_mean() const override { return lambda() == 0.0 || penalty_.mean_of_examples; }

  Gates route(std::span<const std::vector<std::int32_t>> prompts, std::span<const std::int32_t> tasks,
              const std::optional<TrainingMoment>& training) const override {
    const auto n = static_cast<std::int64_t>(prompts.size());
    if (router_.empty()) return gates_of({}, tasks, n, training);
    if (!options_.by_token()) {
      const Tensor x = read_router_inputs(input_, options_.router_layer, model_, prompts);
      return gates_of(x, tasks, n, training);
    }
    const Tensor x = model_.hidden_states(pack_tokens(prompts), options_.router_layer);
    return gates_of(x, tasks, x.rows(), training);
  }

  std::vector<Tensor> bases() const override { return sites_.bases(); }

  // x: what the router reads for each row [rows, d]; undefined where no router is asked.
  Gates gates_of(Tensor x, std::span<const std::int32_t> tasks, std::int64_t rows,
                 const std::optional<TrainingMoment>& training) const {
    GateInput input{.scores = {},
                    .tasks = tasks,
                    .rows = rows,
                    .gates = options_.competing(),
                    .tensors = model_.options(),
                    .training = training};
    if (training) input.first_row = options_.by_token() ? training->rows_before() : training->examples_before();
    if (options_.asks_router()) {
      if (!norm_.empty()) x = standardise(norm_, x);
      input.scores = router_scores(x, router_);
    } else if (options_.gate->source() == GateSource::task) {
      require(static_cast<std::int64_t>(tasks.size()) == rows,
              "gate {} is decided by the task: expected --task with one of {}", gate(),
              fmt::join(options_.tasks, ", "));
    }
    Gates gates = options_.gate->apply(input);
    gates.alpha = beside_shared(gates.alpha);
    return gates;
  }

  const CsReftOptions& settings() const { return options_; }
  const EditSites& sites() const { return sites_; }
  const RouterInput& input() const { return input_; }
  const Llama& model() const { return model_; }

 private:
  // A row for each of the gates' decisions.
  Tensor read_inputs(std::span<const std::vector<std::int32_t>> prompts, const OnRead& on_read) const {
    const std::int64_t layer = options_.router_layer;
    if (!options_.by_token()) return read_router_inputs(input_, layer, model_, prompts, on_read);
    const std::size_t of_each = std::max<std::size_t>(most_tokens_read / prompts.size(), 1);
    return read_token_states(layer, model_, prompts, static_cast<std::int64_t>(of_each), on_read);
  }

  static InterventionShape shape_of(const CsReftOptions& options) {
    return {.blocks = options.subspaces, .joint = options.joint, .starts_orthogonal = options.shared > 0};
  }

  // [rows, gates] -> [rows, k]: the shared subspaces come first, and their gates are one.
  Variable beside_shared(const Variable& gates) const {
    return options_.shared == 0 ? gates : add_row(linear(gates, placed_), open_);
  }

  void make_shared() {
    const std::int64_t k = options_.subspaces, n = options_.competing();
    std::vector<double> place(static_cast<std::size_t>(k * n), 0.0), open(static_cast<std::size_t>(k), 0.0);
    for (std::int64_t i = 0; i < n; ++i) place[static_cast<std::size_t>((options_.shared + i) * n + i)] = 1.0;
    std::fill_n(open.begin(), options_.shared, 1.0);
    const auto constant = [&](const std::vector<double>& values, const Shape& shape) {
      return Variable(Tensor::from(std::span<const double>(values), shape).to(model_.options()));
    };
    placed_ = constant(place, {k, n});
    open_ = constant(open, {k});
  }

  CsReftOptions options_;
  const Llama& model_;
  std::uint64_t seed_;
  EditSites sites_;
  const RouterInput& input_;
  const RouterStart& start_;
  const Penalty& penalty_;
  std::vector<Parameter> router_;      // empty where the gate asks no router
  std::vector<Parameter> parameters_;  // the edits' and the router's
  std::vector<std::pair<std::string, Tensor>> norm_;
  // With shared subspaces: where the gates stand among all [k, gates], and ones for those that are shared [k].
  Variable placed_, open_;
};

// The router's input is at hand before the first edit: embeddings at once, hidden states when their block is done.
class CsReftPass final : public MethodPass {
 public:
  CsReftPass(const CsReft& method, const PromptBatch& batch)
      : method_(method),
        options_(method.settings()),
        prompts_(batch.prompts),
        tasks_(batch.tasks.begin(), batch.tasks.end()),
        training_(batch.training),
        by_token_(options_.by_token() && batch.alpha.empty()),
        rows_(method.sites().rows(batch.prompts)) {
    // A generated token has no states but those that the others have changed.
    require(!by_token_ || batch.alone || !method.sites().edits_generated(),
            "gates by token cannot follow generated tokens beside other methods, which change what the router reads: "
            "expected --gate-scope prompt, or positions of the prompt alone");
    if (!batch.alpha.empty()) {
      finish(given_gates(batch.alpha, examples(), options_.subspaces, method.model().options()));
    } else if (!options_.asks_router()) {
      finish(method.gates_of({}, tasks_, examples(), training_));
    } else if (method.input().states == RouterStates::hidden) {
      if (by_token_) count_by_token(rows_);
      reads_hidden_ = batch.alone;
      // Beside other methods, the states of the model as it is: those that the router knows from prepare().
      if (!reads_hidden_) read(method.model().hidden_states(batch.tokens, options_.router_layer));
    } else {
      const Tensor x = read_router_input(method.input(), -1, method.model(), batch.tokens, prompts_);
      finish(method.gates_of(x, tasks_, examples(), training_));
    }
  }

  Attachments points() override {
    Attachments points;
    points.block_output_layers = method_.sites().layers();
    if (reads_hidden_) points.block_output_layers->insert(options_.router_layer);
    points.block_output = [this](std::int64_t layer, const Variable& hidden) {
      if (reads_hidden_ && layer == options_.router_layer) read(hidden.value());
      return method_.sites().apply(layer, hidden, rows_, alpha_, training_);
    };
    return points;
  }

  // By prompt, a generated token has the gates of its prompt; by token, those that its own state decides.
  Attachments generated(std::span<const std::int32_t> chosen) override {
    if (!method_.sites().edits_generated()) return {};
    const bool own_gates = by_token_;
    auto rows = method_.sites().generated_rows(chosen);
    if (own_gates) count_by_token(rows);
    Attachments points;
    points.block_output_layers = method_.sites().layers();
    if (own_gates) points.block_output_layers->insert(options_.router_layer);
    const auto n = static_cast<std::int64_t>(chosen.size());
    points.block_output = [this, rows = std::move(rows), own_gates, n](std::int64_t layer, const Variable& hidden) {
      if (own_gates && layer == options_.router_layer) {
        token_alpha_ = {};  // a recorded step makes it anew, in the same memory
        token_alpha_ = method_.gates_of(hidden.value(), {}, n, {}).alpha;
      }
      return method_.sites().apply(layer, hidden, rows, own_gates ? token_alpha_ : alpha_, {});
    };
    return points;
  }

  const Gates* gates() const override { return &reported_; }

 private:
  std::int64_t examples() const { return static_cast<std::int64_t>(prompts_.starts.size()); }

  // The gates of a token are the row of alpha that has its number.
  static void count_by_token(std::vector<EditRows>& rows) {
    for (auto& group : rows) group.example = group.index;
  }

  void read(const Tensor& hidden) {
    if (by_token_) {
      finish(method_.gates_of(hidden, tasks_, hidden.rows(), training_));
    } else {
      finish(method_.gates_of(mean_states(method_.input(), hidden, prompts_), tasks_, examples(), training_));
    }
  }

  // What is reported of gates by token: alpha is each prompt's mean, and probabilities those of the prompts' tokens.
  void finish(const Gates& gates) {
    alpha_ = gates.alpha;
    reported_ = gates;
    if (!by_token_) return;
    std::vector<std::int32_t> tokens, offsets{0};
    for (std::size_t e = 0; e < prompts_.starts.size(); ++e) {
      for (std::int32_t i = 0; i < prompts_.lengths[e]; ++i) tokens.push_back(prompts_.starts[e] + i);
      offsets.push_back(static_cast<std::int32_t>(tokens.size()));
    }
    const Tensor index = index_tensor(tokens);
    reported_.alpha = Variable(ops::segment_mean(ops::gather_rows(gates.alpha.value(), index), index_tensor(offsets)));
    reported_.probabilities = gather_rows(gates.probabilities, index);
  }

  const CsReft& method_;
  const CsReftOptions& options_;
  PromptSpans prompts_;
  std::vector<std::int32_t> tasks_;
  std::optional<TrainingMoment> training_;
  bool by_token_;
  bool reads_hidden_ = false;
  std::vector<EditRows> rows_;
  Variable alpha_;        // [examples or tokens, k]
  Variable token_alpha_;  // [sequences, k], of the tokens that are generated now
  Gates reported_;
};

std::unique_ptr<MethodPass> CsReft::attach(const PromptBatch& batch) const {
  return std::make_unique<CsReftPass>(*this, batch);
}

class CsReftSettings final : public MethodSettings {
 public:
  void describe(Options& options) override { options_.describe(options); }
  std::unique_ptr<Method> create(const Llama& model, std::uint64_t seed) override {
    options_.check();
    options_.resolve(model.config());
    return std::make_unique<CsReft>(options_, model, seed);
  }

 private:
  CsReftOptions options_;
};

}  // namespace

extern const MethodEntry csreft_method;
const MethodEntry csreft_method{"csreft",
                                "k subspaces mixed by a router: h + sum_i alpha_i R_i^T (W_i h + b_i - R_i h)",
                                [] { return std::make_unique<CsReftSettings>(); }};

}  // namespace csreft
