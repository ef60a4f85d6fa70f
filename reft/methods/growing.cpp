// CS-ReFT that grows: tasks are learnt one after the other, each in a subspace of its own that is added as it comes. In
// training, the edits of a task are those of its subspace alone, h' = h + R_t^T (W_t h + b_t - R_t h) or another
// formula that has an orthonormal R, and R_t is orthogonal to the R_i of all earlier tasks, which stay as they are. At
// test time one subspace edits a prompt: that of the task it looks most like, by a discriminant over the prompts'
// hidden states (discriminant.h), which each task adds to, or that of its label.
#include <algorithm>
#include <array>

#include "reft/methods/csreft_settings.h"
#include "reft/router/discriminant.h"
#include "reft/stiefel/stiefel.h"

namespace csreft {
namespace {

struct Decider {
  std::string_view name, summary;
};
constexpr std::string_view by_discriminant = "discriminant", by_label = "label";
constexpr std::array deciders{
    Decider{by_discriminant, "a linear discriminant of the learnt tasks' prompts, which knows no labels at test time"},
    Decider{by_label, "the example's task; generation needs --task"}};

struct GrowingOptions {
  EditOptions edits;
  std::string edit = "direft";
  std::string decided_by{by_discriminant};
  double shrinkage = 0.1;
  std::int64_t router_layer = -1;
  std::vector<std::string> tasks;

  GrowingOptions() { edits.start = "identity"; }
  bool reads_prompts() const { return decided_by == by_discriminant; }

  void describe(Options& options) {
    describe_subspace(options, edit, edits);
    options.add_name("decided_by", decided_by, "what decides which task's subspace edits a prompt", deciders);
    if (reads_prompts() || options.visits_all_entries()) {
      describe_router_layer(options, router_layer);
      options.add("shrinkage", shrinkage, "how many times its diagonal is added to the discriminant's covariance",
                  positive());
    }
    options.add("tasks", tasks, "names of the tasks, in the order of learning; empty: those of --train");
  }

  void check() const {
    require(!tasks.empty(), "growing needs the names of the tasks: expected --train files, or --tasks");
    require(has_orthonormal(find_intervention(edit)),
            "growing keeps the subspaces of tasks orthogonal to each other, and formula {} has none that is "
            "orthonormal: expected --edit {}",
            edit, fmt::join(orthonormal_formulas(), " or "));
    check_activation(edit, edits);
  }

  void resolve(const LlamaConfig& config) {
    edits.resolve(config);
    check_rank(edits.rank, static_cast<std::int64_t>(tasks.size()), config);
    if (reads_prompts()) router_layer = resolve_router_layer(router_layer, edits.layers, config);
  }
};

// Values one above the other: of n times the rows of the first.
Tensor stacked(std::span<const Tensor> parts) {
  const Tensor& first = parts.front();
  const std::int64_t rows = first.shape()[0], n = std::ssize(parts);
  const Tensor all =
      Tensor::empty(first.shape().rank() == 1 ? Shape{n * rows} : Shape{n * rows, first.cols()}, first.options());
  for (std::int64_t i = 0; i < n; ++i) {
    ops::copy_(all.slice(i * rows, (i + 1) * rows), parts[static_cast<std::size_t>(i)]);
  }
  return all;
}

class Growing final : public Method, public Routing {
 public:
  Growing(const GrowingOptions& options, const Llama& model, std::uint64_t seed)
      : options_(options),
        model_(model),
        input_(find_router_input("hidden")),
        one_hot_(csreft::gates(), "gate", "onehot"),
        R_(orthonormal_parameter(find_intervention(options.edit))),
        learnt_(Tensor::zeros({subspaces()}, model.options())) {
    std::uint64_t place = 0;
    for (const auto& task : options.tasks) {
      sites_.emplace_back(find_intervention(options.edit), options.edits, InterventionShape{}, model, seed,
                          EditSet{.first_place = place, .prefix = task + "."});
      place += sites_.back().values().size();
      parameters_.insert(parameters_.end(), sites_.back().parameters().begin(), sites_.back().parameters().end());
    }
    earlier_.resize(sites_.front().values().size());
    buffers_ = {{"learnt", learnt_}};
    if (!options.reads_prompts()) return;
    discriminant_.emplace(subspaces(), model.config().hidden_size, model.options());
    buffers_.insert(buffers_.end(), discriminant_->buffers().begin(), discriminant_->buffers().end());
  }

  std::span<const Parameter> parameters() const override { return parameters_; }
  std::span<const std::pair<std::string, Tensor>> buffers() const override { return buffers_; }
  std::vector<std::string> notices() const override { return sites_.front().notices(); }
  const Routing* routing() const override { return this; }
  std::span<const std::string> sequence() const override { return options_.tasks; }

  void begin_task(std::int64_t task, std::span<const std::vector<std::int32_t>> prompts,
                  const OnRead& on_read) override {
    const auto t = static_cast<std::size_t>(task);
    const bool begins = learnt()[t] == 0.0;
    if (begins && discriminant_) {
      const auto some = spread_prompts(prompts);
      const Tensor x = read_router_inputs(input_, options_.router_layer, model_, some, on_read);
      if (x.rows() < std::ssize(some)) return;
      discriminant_->learn(task, x, options_.shrinkage);
    }
    task_ = t;
    earlier_ = bases_of(t).spans;
    if (!begins) return;
    if (t > 0) sites_[t].restart(earlier_);
    ops::copy_(learnt_.slice(task, task + 1), Tensor::full({1}, 1.0, learnt_.dtype()));
  }

  std::unique_ptr<MethodPass> attach(const PromptBatch& batch) const override;

  std::string_view gate() const override { return options_.decided_by; }
  std::int64_t subspaces() const override { return std::ssize(options_.tasks); }
  std::int64_t shared() const override { return 0; }
  std::span<const std::string> tasks() const override {
    return options_.reads_prompts() ? std::span<const std::string>() : std::span<const std::string>(options_.tasks);
  }
  Variable penalty(const Gates& /*gates*/) const override { return {}; }
  double lambda() const override { return 0.0; }
  bool by_token() const override { return false; }
  bool penalty_is_mean() const override { return true; }
  std::vector<Tensor> bases() const override {
    std::vector<Tensor> all;
    for (const auto& R : bases_of(sites_.size()).R) all.push_back(stacked(R));
    return all;
  }

  Gates route(std::span<const std::vector<std::int32_t>> prompts, std::span<const std::int32_t> tasks,
              const std::optional<TrainingMoment>& training) const override {
    const std::int64_t n = std::ssize(prompts);
    if (const auto task = only_task(training.has_value())) return gates_of_task(*task, n);
    if (!discriminant_) return gates_of_labels(tasks, n);
    return gates_of(read_router_inputs(input_, options_.router_layer, model_, prompts));
  }

  // The task whose subspace edits all prompts: in training the one that is learnt; and the first, as long as there is
  // nothing to decide by.
  std::optional<std::size_t> only_task(bool training) const {
    if (training) return task_;
    const bool undecided = options_.reads_prompts() && std::ranges::all_of(learnt(), [](double x) { return x == 0.0; });
    return undecided ? std::optional<std::size_t>(0) : std::nullopt;
  }

  Gates gates_of_task(std::size_t task, std::int64_t rows) const {
    return one_hot(std::vector<std::int32_t>(static_cast<std::size_t>(rows), static_cast<std::int32_t>(task)));
  }

  // A task that is not learnt yet has no subspace.
  Gates gates_of_labels(std::span<const std::int32_t> tasks, std::int64_t rows) const {
    require(std::ssize(tasks) == rows, "subspaces are chosen by the task: expected --task with one of {}",
            fmt::join(options_.tasks, ", "));
    return {Variable(ops::mul_row(one_hot(tasks).alpha.value(), learnt_)), {}};
  }

  // x: what the discriminant reads of each prompt, [rows, d].
  Gates gates_of(const Tensor& x) const {
    const Tensor scores = discriminant_->scores(x);
    return {Variable(ops::top_k_rows(scores, 1)), Variable(ops::softmax(scores))};
  }

  // What edits have in the parameters' place. Of a task alone: R_t orthogonal to the R of earlier tasks.
  PlaceValues values_of(std::size_t task) const {
    PlaceValues values = sites_[task].values();
    for (std::size_t p = 0; task > 0 && p < values.size(); ++p) values[p][R_] = outside_of(values[p][R_], earlier_[p]);
    return values;
  }
  // Of all tasks, stacked as CS-ReFT's subspaces are: constants.
  PlaceValues values_of_all() const {
    const Bases bases = bases_of(sites_.size());
    std::vector<PlaceValues> of_task;
    for (const auto& sites : sites_) of_task.push_back(sites.values());
    PlaceValues all = of_task.front();
    for (std::size_t p = 0; p < all.size(); ++p) {
      for (std::size_t i = 0; i < all[p].size(); ++i) {
        std::vector<Tensor> parts;
        for (const auto& values : of_task) parts.push_back(values[p][i].value());
        all[p][i] = Variable(stacked(i == R_ ? bases.R[p] : parts));
      }
    }
    return all;
  }

  const EditSites& sites(std::size_t task) const { return sites_[task]; }
  const RouterInput& input() const { return input_; }
  const Llama& model() const { return model_; }
  std::int64_t router_layer() const { return options_.router_layer; }
  bool reads_prompts() const { return options_.reads_prompts(); }

 private:
  // Of the first tasks, at each place.
  struct Bases {
    std::vector<std::vector<Tensor>> R;  // of each task [r, d], without what lies in the span of those before
    std::vector<Tensor> spans;           // an orthonormal basis of what they span together; undefined: of no task
  };

  static std::size_t orthonormal_parameter(const Intervention& formula) {
    return static_cast<std::size_t>(
        std::ranges::find(formula.parameters, ParameterManifold::stiefel, &InterventionParameter::manifold) -
        formula.parameters.begin());
  }

  // The optimizer's rounding moves R a little into the span of earlier tasks' R: that part never takes part.
  Bases bases_of(std::size_t tasks) const {
    const std::size_t places = sites_.front().values().size();
    Bases bases{std::vector<std::vector<Tensor>>(places), std::vector<Tensor>(places)};
    for (std::size_t t = 0; t < tasks; ++t) {
      const PlaceValues values = sites_[t].values();
      for (std::size_t p = 0; p < places; ++p) {
        const Variable R = outside_of(values[p][R_].detach(), bases.spans[p]);
        bases.R[p].push_back(R.value());
        bases.spans[p] = stacked(bases.R[p]);
        orthonormalise(bases.spans[p], bases.spans[p].rows());
      }
    }
    return bases;
  }

  // Of each task, 1 or 0.
  std::vector<double> learnt() const {
    const Tensor values = learnt_.to(DType::f64).to(Device{});
    return {values.span<double>().begin(), values.span<double>().end()};
  }

  Gates one_hot(std::span<const std::int32_t> tasks) const {
    return one_hot_->apply({.scores = {},
                            .tasks = tasks,
                            .rows = std::ssize(tasks),
                            .gates = subspaces(),
                            .tensors = model_.options(),
                            .training = {}});
  }

  GrowingOptions options_;
  const Llama& model_;
  const RouterInput& input_;
  Chosen<Gate> one_hot_;
  std::size_t R_;  // which of a formula's parameters is orthonormal
  Tensor learnt_;  // [k]: 1 for a task that is begun, else 0
  std::optional<Discriminant> discriminant_;
  std::vector<EditSites> sites_;  // of each task
  std::vector<Parameter> parameters_;
  std::vector<std::pair<std::string, Tensor>> buffers_;
  std::size_t task_ = 0;
  std::vector<Tensor> earlier_;  // at each place what the R of tasks before task_ span; undefined: there are none
};

class GrowingPass final : public MethodPass {
 public:
  GrowingPass(const Growing& method, const PromptBatch& batch)
      : method_(method),
        task_(batch.alpha.empty() ? method.only_task(batch.training.has_value()) : std::nullopt),
        sites_(method.sites(task_.value_or(0))),
        prompts_(batch.prompts),
        training_(batch.training),
        rows_(sites_.rows(batch.prompts)),
        values_(task_ ? method.values_of(*task_) : method.values_of_all()) {
    const std::int64_t n = std::ssize(prompts_.starts);
    if (task_) {
      gates_ = method.gates_of_task(*task_, n);
    } else if (!batch.alpha.empty()) {
      gates_ = given_gates(batch.alpha, n, method.subspaces(), method.model().options());
    } else if (!method.reads_prompts()) {
      gates_ = method.gates_of_labels(batch.tasks, n);
    } else if (batch.alone) {
      reads_hidden_ = true;
    } else {  // other methods change the states: those of the model as it is, which the tasks were learnt from
      read(method.model().hidden_states(batch.tokens, method.router_layer()));
    }
  }

  Attachments points() override {
    Attachments points = edits(rows_);
    if (reads_hidden_) points.block_output_layers->insert(method_.router_layer());
    points.block_output = [this, edit = std::move(points.block_output)](std::int64_t layer, const Variable& hidden) {
      if (reads_hidden_ && layer == method_.router_layer()) read(hidden.value());
      return edit(layer, hidden);
    };
    return points;
  }
  Attachments generated(std::span<const std::int32_t> examples) override {
    if (!sites_.edits_generated()) return {};
    return edits(sites_.generated_rows(examples));
  }
  const Gates* gates() const override { return &gates_; }

 private:
  void read(const Tensor& hidden) { gates_ = method_.gates_of(mean_states(method_.input(), hidden, prompts_)); }

  // One subspace alone has no gate.
  Attachments edits(std::vector<EditRows> rows) const {
    Attachments points;
    points.block_output_layers = sites_.layers();
    points.block_output = [this, rows = std::move(rows)](std::int64_t layer, const Variable& hidden) {
      return sites_.apply(layer, hidden, rows, task_ ? Variable() : gates_.alpha, training_, &values_);
    };
    return points;
  }

  const Growing& method_;
  std::optional<std::size_t> task_;  // whose subspace edits all prompts
  const EditSites& sites_;
  PromptSpans prompts_;
  std::optional<TrainingMoment> training_;
  std::vector<EditRows> rows_;
  PlaceValues values_;
  bool reads_hidden_ = false;
  Gates gates_;
};

std::unique_ptr<MethodPass> Growing::attach(const PromptBatch& batch) const {
  return std::make_unique<GrowingPass>(*this, batch);
}

class GrowingSettings final : public MethodSettings {
 public:
  void describe(Options& options) override { options_.describe(options); }
  std::unique_ptr<Method> create(const Llama& model, std::uint64_t seed) override {
    options_.check();
    options_.resolve(model.config());
    return std::make_unique<Growing>(options_, model, seed);
  }

 private:
  GrowingOptions options_;
};

}  // namespace

extern const MethodEntry growing_method;
const MethodEntry growing_method{
    "growing", "CS-ReFT that grows: a subspace a task, learnt in sequence, orthogonal to earlier ones",
    [] { return std::make_unique<GrowingSettings>(); }};

}  // namespace csreft
