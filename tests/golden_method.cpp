#include "tests/golden_method.h"

#include <algorithm>
#include <set>

#include "core/base/json_file.h"
#include "reft/interventions/intervention.h"
#include "reft/presets.h"
#include "tests/device.h"

using csreft::Tensor;
using csreft::Variable;

namespace {

constexpr double alpha_tolerance = 1e-5;  // gates lie in [0, 1]; f32 sums of some hundred products

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

void check_settings(const std::string& name, const nlohmann::json& settings, const std::set<std::string>& known) {
  for (const auto& [key, _] : settings.items()) {
    csreft::require(known.contains(key), "golden.json: case {} has a setting `{}` that is not known", name, key);
  }
}

void read_edit_settings(const nlohmann::json& settings, csreft::MethodOptions& options) {
  options["layers"] = settings.at("layers");
  options["positions"] = settings.at("positions");
  if (settings.contains("rank")) options["rank"] = settings["rank"];
  options["tied"] = settings.value("tied", false);
}

csreft::MethodOptions lora_options(const nlohmann::json& settings) {
  check_settings("lora", settings, {"loss", "rank", "alpha", "targets", "layers"});
  return {"lora",
          {{"layers", settings.contains("layers") ? settings["layers"] : nlohmann::json("all")},
           {"rank", settings.at("rank")},
           {"lora_alpha", settings.at("alpha")},
           {"targets", settings.at("targets")}}};
}

csreft::MethodOptions csreft_options(const std::vector<std::string>& parts, const nlohmann::json& settings) {
  check_settings("csreft", settings,
                 {"loss", "ce", "penalty", "lambda", "layers", "positions", "tied", "k", "rank", "router_hidden",
                  "alpha", "gate", "router_layer"});
  csreft::MethodOptions options{"csreft", csreft::find_preset("paper").method.values};
  read_edit_settings(settings, options);
  options["subspaces"] = settings.at("k");
  options["router_input"] = parts[1];
  options["penalty"] = parts[2];
  options["router_hidden"] = settings.at("router_hidden");
  if (settings.contains("gate")) options["gate"] = settings["gate"];
  if (settings.contains("router_layer")) options["router_layer"] = settings["router_layer"];
  options["lambda"] = settings.at("lambda");
  return options;
}

// Where the file keeps a parameter: in one tensor, or block by block. CS-ReFT's stack "L.t.R" is "L.0.R", "L.1.R", ...
std::vector<std::string> stored_names(const csreft::MethodOptions& options, const csreft::Parameter& parameter) {
  if (options.method != "csreft" || parameter.part == csreft::ParameterPart::router) return {parameter.name};
  const auto parts = split(parameter.name, '.');
  std::vector<std::string> names;
  const auto subspaces = options.at("subspaces").get<std::int64_t>();
  for (std::int64_t i = 0; i < subspaces; ++i) names.push_back(fmt::format("{}.{}.{}", parts[0], i, parts[2]));
  return names;
}

// Calls f(name, rows) for each stored part of a parameter; rows of `whole`, its value or its gradient.
template <typename F>
void for_each_part(const csreft::MethodOptions& options, const csreft::Parameter& parameter, const Tensor& whole,
                   F&& f) {
  const auto names = stored_names(options, parameter);
  const auto rows = whole.shape()[0] / static_cast<std::int64_t>(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto begin = static_cast<std::int64_t>(i) * rows;
    f(names[i], whole.slice(begin, begin + rows));
  }
}

void load_parameters(const csreft::Method& method, const GoldenCase& golden, GoldenTensors& tensors) {
  for (const auto& parameter : method.parameters()) {
    for_each_part(golden.options, parameter, parameter.value.value(), [&](const std::string& name, const Tensor& part) {
      const Tensor value = tensors.take(golden.prefix + "param." + name);
      csreft::require(value.shape() == part.shape(), "golden parameter {} has shape {}, expected {}", name,
                      value.shape().str(), part.shape().str());
      csreft::ops::copy_(part, on_test_device(value));
    });
  }
}

GoldenResult compare_gradients(const csreft::Method& method, const GoldenCase& golden, GoldenTensors& tensors,
                               Tolerance tolerance) {
  GoldenComparison comparison(golden.label + ": gradients", tolerance);
  for (const auto& parameter : method.parameters()) {
    const Tensor& gradient = parameter.value.grad();
    csreft::require(gradient.defined(), "no gradient reached {}", parameter.name);
    for_each_part(golden.options, parameter, gradient, [&](const std::string& name, const Tensor& part) {
      const std::string stored = golden.prefix + "grad." + name;
      if (tensors.contains(stored)) comparison.add(name, part, tensors.take(stored));
    });
  }
  return comparison.result();
}

GoldenResult compare_alpha(const GoldenCase& golden, const Tensor& alpha) {
  GoldenComparison comparison(golden.label + ": gates", {alpha_tolerance, Measure::absolute});
  const auto expected = golden.settings.at("alpha").get<std::vector<std::vector<double>>>();
  csreft::require(alpha.rows() == static_cast<std::int64_t>(expected.size()), "gates for {} prompts, expected {}",
                  alpha.rows(), expected.size());
  for (std::size_t e = 0; e < expected.size(); ++e) {
    const auto k = static_cast<std::int64_t>(expected[e].size());
    const auto example = static_cast<std::int64_t>(e);
    comparison.add(fmt::format("prompt {}", e), alpha.slice(example, example + 1),
                   Tensor::from(std::span<const double>(expected[e]), {1, k}));
  }
  return comparison.result();
}

}  // namespace

csreft::MethodOptions golden_method_options(const std::string& name, const nlohmann::json& settings) {
  const auto parts = split(name, '.');
  if (name == "lora") return lora_options(settings);
  if (parts[0] == "csreft" && parts.size() == 3) return csreft_options(parts, settings);
  const bool formula = std::ranges::any_of(csreft::interventions(),
                                           [&](const auto* intervention) { return intervention->name == parts[0]; });
  csreft::require(formula && (parts.size() == 1 || (parts.size() == 2 && parts[1] == "tied")),
                  "not built: a case of this name is not known");
  check_settings(name, settings, {"loss", "layers", "positions", "tied", "rank"});
  csreft::MethodOptions options{parts[0]};
  read_edit_settings(settings, options);
  if (options.method == "red") options.values.erase("rank");
  return options;
}

void compare_logits(const Tensor& logits, const TinyTask& task, const std::string& prefix, GoldenTensors& tensors,
                    GoldenComparison& comparison) {
  const auto offsets = task.batch.layout.q_offsets.span<std::int32_t>();
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const std::string name = fmt::format("{}logits.{}", prefix, s);
    if (!tensors.contains(name)) continue;
    comparison.add(fmt::format("sequence {}", s), logits.slice(offsets[s], offsets[s + 1]), tensors.take(name));
  }
}

void check_golden_method(const csreft::Llama& model, const TinyTask& task, const GoldenCase& golden,
                         GoldenTensors& tensors, const GoldenTolerances& tolerances, const GoldenSink& sink) {
  std::unique_ptr<csreft::Method> method;
  try {
    method = csreft::create_method(golden.options, model, /*seed=*/1);
  } catch (const csreft::Error& error) {
    csreft::fail("not built: {}", error.what());
  }
  load_parameters(*method, golden, tensors);

  const auto pass = method->attach({task.batch, task.prompts});
  const Variable hidden = model.forward(task.batch, pass->points());
  const Variable ce = csreft::head_cross_entropy(csreft::gather_rows(hidden, task.rows), model.head(), task.targets,
                                                 1.0 / static_cast<double>(task.rows.numel()));
  const csreft::Routing* routing = method->routing();
  const Variable penalty = routing != nullptr ? routing->penalty(*pass->gates()) : Variable();
  const Variable loss = penalty.defined() ? csreft::add(ce, csreft::scale(penalty, routing->lambda())) : ce;
  csreft::backward(loss);

  GoldenComparison losses(golden.label + ": loss", tolerances.loss);
  losses.add("loss", loss.value().item(), golden.settings.at("loss").get<double>());
  if (golden.settings.contains("ce")) losses.add("ce", ce.value().item(), golden.settings["ce"].get<double>());
  if (penalty.defined()) losses.add("penalty", penalty.value().item(), golden.settings.at("penalty").get<double>());
  sink(losses.result());
  if (golden.settings.contains("alpha") && routing != nullptr) {
    sink(compare_alpha(golden, pass->gates()->alpha.value()));
  }
  if (tensors.contains(golden.prefix + "logits.0")) {
    GoldenComparison logits(golden.label + ": logits", tolerances.logits);
    compare_logits(model.logits(hidden.detach()).value(), task, golden.prefix, tensors, logits);
    sink(logits.result());
  }
  sink(compare_gradients(*method, golden, tensors, tolerances.gradients));
}
