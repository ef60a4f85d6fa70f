#include "reft/presets.h"

#include <algorithm>
#include <vector>

#include "core/base/table.h"
#include "reft/router/router.h"

namespace csreft {
namespace {

using nlohmann::json;

// arXiv 2503.10617, section 3, as far as it says.
json paper_router() {
  return {{"edit", "loreft"},
          {"gate", "soft"},
          {"penalty", "none"},
          {"lambda", 0.0},
          {"router_input", "prompt_mean"},
          {"router_norm", false},
          {"router_start", "random"},
          {"router_lr", 1.0}};
}

// The defaults of CS-ReFT's own description.
json specialised_router() {
  const auto settings = configure({"csreft"});
  const json defaults = options_json(*settings), router = paper_router();
  json out = json::object();
  for (const auto& [name, value] : router.items()) out[name] = defaults.at(name);
  return out;
}

json with(json options, const json& more) {
  options.update(more);
  return options;
}

// pyreft's recipes for LLaMA-7B, with 32 blocks (arXiv 2404.03592, appendix D; examples/ of pyreft 0.1.0). What they do
// not take over: R moves by Riemannian Adam here, where pyreft moves what torch's orthogonal parametrisation makes R
// of, by AdamW; and the learning rate falls linearly, where the quick run's falls by a cosine.
json loreft_of_all_layers() { return {{"layers", "all"}, {"rank", 8}, {"positions", "f7+l7"}, {"tied", true}}; }

std::vector<Preset> make_presets() {
  return {
      {"specialised",
       "gates compete for each prompt: subspaces take skills without being told which there are",
       {"csreft", specialised_router()},
       json::object()},
      {"paper",
       "independent sigmoid gates, as in the paper (whose router has --router-hidden d/2)",
       {"csreft", paper_router()},
       json::object()},
      {"paper-budget",
       "the paper's method in 655,588 numbers of Llama-2-7B with its router: 0.0097 %",
       {"csreft", with(paper_router(), {{"subspaces", 4},
                                        {"rank", 4},
                                        {"layers", "3,9,18,24 of 32"},
                                        {"positions", "f5=l5"},
                                        {"router_hidden", 32}})},
       json::object()},
      {"instruct",
       "pyreft's recipe for instruction tuning of LLaMA-7B",
       {"loreft", {{"layers", "3,9,18,24 of 32"}, {"rank", 4}, {"positions", "f5+l5"}}},
       {{"epochs", 9}, {"lr", 9e-4}, {"batch", 128}, {"warmup", 0.0}, {"max_length", 768}}},
      {"commonsense",
       "pyreft's recipe for commonsense reasoning",
       {"loreft", loreft_of_all_layers()},
       {{"epochs", 6}, {"lr", 9e-4}, {"batch", 32}, {"warmup", 0.1}}},
      {"math",
       "pyreft's recipe for arithmetic",
       {"loreft", loreft_of_all_layers()},
       {{"epochs", 12}, {"lr", 9e-4}, {"batch", 32}, {"warmup", 0.1}}},
      {"alpaca",
       "pyreft's quick run on Alpaca",
       {"loreft", {{"layers", "8,19 of 32"}, {"rank", 4}, {"positions", "f1+l1"}}},
       {{"epochs", 1}, {"lr", 2e-5}, {"batch", 32}, {"warmup", 0.03}}},
      {"all-weights", "the rate that full fine-tuning customarily has: all weights move", {"full"}, {{"lr", 5e-5}}},
  };
}

// Whether a router decides the gates, each by itself.
bool is_independent(const json& gate) {
  const Chosen<Gate> chosen(gates(), "gate", gate.get<std::string>());
  return chosen->source() == GateSource::router && !chosen->competes();
}

}  // namespace

std::span<const Preset> presets() {
  static const std::vector<Preset> table = make_presets();
  return table;
}

const Preset& find_preset(std::string_view name) { return find_named(presets(), "preset", name); }

const Preset* suitable_preset(const MethodOptions& given) {
  if (given.method == "full") return &find_preset("all-weights");
  if (given.method != "csreft") return nullptr;
  const bool independent = (given.contains("gate") && is_independent(given.at("gate"))) ||
                           (given.contains("penalty") && given.at("penalty") != "none" &&
                            !find_penalty(given.at("penalty").get<std::string>()).of_competing);
  return &find_preset(independent ? "paper" : "specialised");
}

MethodOptions with_preset(const Preset& preset, const MethodOptions& given) {
  MethodOptions out{given.method, with(preset.method.values, given.values)};
  // No penalty is no weight, and no weight no penalty, where the other of the two was left to the preset.
  if (given.contains("penalty") && given.at("penalty") == "none" && !given.contains("lambda")) out["lambda"] = 0.0;
  if (given.contains("lambda") && given.at("lambda") == 0.0 && !given.contains("penalty")) out["penalty"] = "none";
  // Only hidden states are those of a token.
  const bool by_token = given.contains("gate_scope") && given.at("gate_scope") == "token";
  if (by_token && !given.contains("router_input") && out.contains("router_input")) out["router_input"] = "hidden";
  return out;
}

namespace {

// The names in `wanted`, layers aside, that have another value in `options`.
std::vector<std::string> differing(const json& wanted, const json& options) {
  std::vector<std::string> names;
  for (const auto& [name, value] : wanted.items()) {
    if (name != "layers" && options.contains(name) && options.at(name) != value) names.push_back(name);
  }
  return names;
}

}  // namespace

std::string departures(const Preset& preset, const MethodOptions& resolved) {
  return fmt::format("{}", fmt::join(differing(preset.method.values, resolved.values), ", "));
}

std::string preset_name(const MethodOptions& resolved, const json& train) {
  const Preset* nearest = nullptr;
  std::vector<std::string> changed;
  for (const auto& preset : presets()) {
    if (preset.method.method != resolved.method) continue;
    auto differs = differing(preset.method.values, resolved.values);
    for (auto& name : differing(preset.train, train)) differs.push_back(std::move(name));
    const bool says_more = nearest != nullptr && differs.size() == changed.size() &&
                           preset.method.values.size() > nearest->method.values.size();
    if (nearest != nullptr && differs.size() >= changed.size() && !(says_more && differs.empty())) continue;
    nearest = &preset;
    changed = std::move(differs);
  }
  if (nearest == nullptr || (!changed.empty() && suitable_preset(resolved) == nullptr)) return "none";
  return changed.empty() ? std::string(nearest->name)
                         : fmt::format("{}, changed: {}", nearest->name, fmt::join(changed, ", "));
}

}  // namespace csreft
