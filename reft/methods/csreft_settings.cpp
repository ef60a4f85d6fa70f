#include "reft/methods/csreft_settings.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace csreft {
namespace {

struct GateScope {
  std::string_view name, summary;
};
constexpr std::array scopes{GateScope{"prompt", "one decision for all tokens of an example"},
                            GateScope{"token", "one for each token, from its own state"}};

// Formulas whose edits can be gated: those of low rank.
std::vector<const Intervention*> gated_formulas() {
  std::vector<const Intervention*> formulas;
  for (const auto* intervention : interventions()) {
    if (has_rank(*intervention)) formulas.push_back(intervention);
  }
  return formulas;
}

struct FormulaName {
  std::string_view name, summary;
};

std::vector<FormulaName> formula_names() {
  std::vector<FormulaName> names;
  for (const auto* formula : gated_formulas()) names.push_back({formula->name, formula->formula});
  return names;
}

// Of the gates that a router decides, those that compete, or those that do not.
std::vector<std::string_view> router_gates(bool competing) {
  return names_where(gates(), [&](const ChoiceEntry<Gate>& entry) {
    const auto gate = entry.create();
    return gate->source() == GateSource::router && gate->competes() == competing;
  });
}

// The router inputs that are hidden states.
std::vector<std::string_view> hidden_inputs() {
  return names_where(router_inputs(), [](const RouterInput& input) { return input.states == RouterStates::hidden; });
}

void check_penalty(const CsReftOptions& o) {
  const Penalty& penalty = find_penalty(o.penalty);
  const bool competes = o.gate->competes();
  const std::string& gate = o.gate.name();
  require(o.lambda >= 0.0, "lambda {} rewards what penalty {} is against: expected 0 or more", o.lambda, o.penalty);
  require(penalty.of_competing || !competes,
          "penalty {} is a constant for gate {}, whose gates sum to one: expected gate {}", penalty.name, gate,
          fmt::join(router_gates(/*competing=*/false), " or "));
  require(penalty.of_independent || competes, "penalty {} is for gates that sum to one: expected gate {}, not {}",
          penalty.name, fmt::join(router_gates(/*competing=*/true), " or "), gate);
  require((o.penalty == "none") == (o.lambda == 0.0),
          "penalty {} with lambda {} has no effect: expected both a penalty and a lambda, or neither", o.penalty,
          o.lambda);
}

void check_router(const CsReftOptions& o) {
  check_penalty(o);
  require(!find_router_start(o.router_start).reads_prompts || o.router_hidden >= o.competing(),
          "a router of hidden width {} cannot start from {} clusters: expected a width of at least {}", o.router_hidden,
          o.competing(), o.competing());
  require(!o.by_token() || find_router_input(o.router_input).states == RouterStates::hidden,
          "--router-input {} is the prompt's, not each token's: expected --router-input {} beside --gate-scope token",
          o.router_input, fmt::join(hidden_inputs(), " or "));
}

}  // namespace

void describe_subspace(Options& options, std::string& formula, EditOptions& edits) {
  options.add_name("edit", formula, "formula of each subspace", formula_names());
  edits.describe(options, find_intervention(formula));
}

void check_activation(const std::string& formula, const EditOptions& edits) {
  require(edits.activation == "linear" || has_source(find_intervention(formula)),
          "--activation {} has nothing to act on in {}: expected linear", edits.activation, formula);
}

std::vector<std::string_view> orthonormal_formulas() { return names_where(gated_formulas(), has_orthonormal); }

void describe_router_layer(Options& options, std::int64_t& layer) {
  options.add("router_layer", layer,
              "the block whose hidden states decide, where the gates read such; -1: the one below the first edit");
}

std::int64_t resolve_router_layer(std::int64_t layer, const std::string& layers, const LlamaConfig& config) {
  const std::int64_t first_edit = parse_layers(layers, config.n_layers).front();
  if (layer == -1) layer = std::max<std::int64_t>(first_edit - 1, 0);
  require(0 <= layer && layer <= first_edit,
          "router input hidden cannot read layer {}: expected one from 0 to {}, where the first edit is", layer,
          first_edit);
  return layer;
}

void CsReftOptions::describe(Options& options) {
  describe_subspace(options, edit, edits);
  options.add("subspaces", subspaces, "number k of subspaces", at_least(1));
  options.add("shared", shared, "how many of them are always open, beside those that the gates decide about",
              at_least(0));
  options.add("joint", joint, "all subspaces orthogonal to each other: R_i R_j^T = 0");
  options.choose("gate", gate, "how the router's scores become gates");
  if (asks_router() || options.visits_all_entries()) describe_router(options);
  if (gate->source() == GateSource::task || options.visits_all_entries()) {
    options.add("tasks", tasks, "names of the tasks, for a gate that is decided by them; empty: those of --train");
  }
}

void CsReftOptions::describe_router(Options& options) {
  options.add_name("gate_scope", gate_scope, "what a gate is decided for", scopes);
  options.add_name("penalty", penalty, "Omega of the gates", penalties());
  options.add("lambda", lambda, "weight of the penalty in the loss",
              Range<double>{"a number", [](double x) { return std::isfinite(x); }});
  options.add_name("router_input", router_input, "what the router reads", router_inputs());
  describe_router_layer(options, router_layer);
  options.add("router_hidden", router_hidden, "hidden width of the router (the paper's is half of the model's)",
              at_least(1));
  options.add("router_norm", router_norm, "standardise the router's input by the training prompts");
  options.add_name("router_start", router_start, "where its weights start", router_starts());
  options.add("router_lr", router_lr, "learning rate of the router, as a multiple of --lr", not_negative());
}

void CsReftOptions::check() const {
  require(shared < subspaces, "--shared {} leaves none of {} subspaces to the gates: expected {} or less", shared,
          subspaces, subspaces - 1);
  require(!gate->competes() || competing() >= 2,
          "the gates of {} compete, and {} subspace has nothing to compete with: expected --subspaces of at least {}",
          gate.name(), competing(), shared + 2);
  gate->check(competing());
  require(!joint || has_orthonormal(find_intervention(edit)),
          "--joint keeps orthonormal subspaces orthogonal to each other, and formula {} has none: expected --edit {}",
          edit, fmt::join(orthonormal_formulas(), " or "));
  if (asks_router()) check_router(*this);
  check_activation(edit, edits);
  if (gate->source() != GateSource::task) return;
  require(!tasks.empty(), "gate {} has no names of tasks: expected --tasks, or --train files", gate.name());
  require(static_cast<std::int64_t>(tasks.size()) <= competing(),
          "gate {} gives each task a subspace: expected --subspaces of at least {}, the number of tasks, not {}",
          gate.name(), static_cast<std::int64_t>(tasks.size()) + shared, subspaces);
}

void CsReftOptions::resolve(const LlamaConfig& config) {
  edits.resolve(config);
  if (!asks_router()) return;
  if (find_router_input(router_input).states != RouterStates::hidden) {
    require(router_layer == -1, "router input {} reads no layer: expected no --router-layer, or --router-input {}",
            router_input, fmt::join(hidden_inputs(), " or "));
    return;
  }
  router_layer = resolve_router_layer(router_layer, edits.layers, config);
}

}  // namespace csreft
