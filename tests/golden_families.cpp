#include "tests/golden_families.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/base/hash.h"
#include "core/base/json_file.h"
#include "core/tensor/safetensors.h"
#include "models/checkpoints/open_checkpoint.h"
#include "models/llama/llama.h"
#include "tests/device.h"
#include "tests/temporary_folder.h"
#include "tests/tiny_model.h"

using csreft::Llama;
using csreft::Tensor;
using csreft::Variable;

namespace {

constexpr Tolerance tolerance{1e-5, Measure::absolute};

double uniform(std::uint64_t seed, std::uint64_t i) {
  std::uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  z ^= z >> 31U;
  return static_cast<double>(z >> 40U) / 8388608.0 - 1;
}

Tensor f64_matrix(const nlohmann::json& rows) {
  std::vector<double> values;
  for (const auto& row : rows) {
    for (const auto& value : row) values.push_back(value.get<double>());
  }
  const auto n = static_cast<std::int64_t>(rows.size());
  return Tensor::from(std::span<const double>(values), {n, static_cast<std::int64_t>(values.size()) / n});
}

void check_family(const GoldenFamily& golden, const GoldenSink& sink) {
  const Llama model(golden.open(), csreft::Weights::trainable, {csreft::DType::f64, test_device()});
  const std::vector<std::int64_t> prompt{1};
  const TinyTask task = make_task({golden.ids}, prompt);
  const Variable hidden = model.forward(task.batch);
  const Variable loss = csreft::head_cross_entropy(csreft::gather_rows(hidden, task.rows), model.head(), task.targets,
                                                   1.0 / static_cast<double>(task.rows.numel()));
  GoldenComparison losses(golden.name + ": loss", tolerance);
  losses.add("loss", loss.value().item(), golden.loss);
  sink(losses.result());
  GoldenComparison logits(golden.name + ": logits", tolerance);
  const Variable rows = csreft::gather_rows(hidden.detach(), csreft::index_tensor(golden.rows));
  logits.add("logits", model.logits(rows).value(), golden.logits);
  sink(logits.result());
  if (golden.gradients.is_null()) return;
  csreft::backward(loss);
  GoldenComparison gradients(golden.name + ": gradients", tolerance);
  for (const auto& [name, weight] : model.parameters()) {
    const auto found = golden.gradients.find(name);
    if (found != golden.gradients.end()) {
      gradients.add(name, weight.grad(), f64_matrix({*found}).view(weight.shape()));
    }
  }
  sink(gradients.result());
}

}  // namespace

Tensor formula_weight(const std::string& name, const csreft::Shape& shape) {
  const std::uint64_t seed = csreft::fnv1a(name);
  const bool is_embedding = name == "model.embed_tokens.weight";
  const double deviation = shape.rank() == 2 && !is_embedding ? std::sqrt(3 / static_cast<double>(shape[1])) : 1;
  Tensor weight = Tensor::empty(shape);
  for (std::int64_t i = 0; i < weight.numel(); ++i) {
    const double u = uniform(seed, static_cast<std::uint64_t>(i));
    const double value = name.ends_with(".bias") ? 0.5 * u : shape.rank() == 1 ? 1 + 0.25 * u : deviation * u;
    weight.data<float>()[i] = static_cast<float>(value);
  }
  return weight;
}

csreft::Checkpoint GoldenFamily::open() const {
  const TemporaryFolder folder;
  folder.write("config.json", config.dump());
  std::vector<std::pair<std::string, Tensor>> weights;
  const auto parsed = csreft::parse_llama_config(config, name);
  for (const auto& [parameter, shape] : csreft::parameter_shapes(parsed)) {
    weights.emplace_back(parameter, formula_weight(parameter, shape));
  }
  csreft::save_safetensors(folder / "model.safetensors", weights);
  return csreft::open_checkpoint(folder.path());
}

std::vector<GoldenFamily> read_golden_families(const std::filesystem::path& folder) {
  std::vector<GoldenFamily> all;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto json = csreft::read_json_object(entry.path());
    all.push_back({.name = entry.path().stem().string(),
                   .config = json.at("config"),
                   .ids = json.at("ids").get<std::vector<std::int32_t>>(),
                   .rows = json.at("rows").get<std::vector<std::int32_t>>(),
                   .logits = f64_matrix(json.at("logits")),
                   .loss = json.at("loss").get<double>(),
                   .gradients = json.value("gradients", nlohmann::json())});
  }
  std::ranges::sort(all, {}, &GoldenFamily::name);
  csreft::require(!all.empty(), "{} is empty: expected a file for each family", folder.string());
  return all;
}

void check_golden_families(const std::filesystem::path& folder, const GoldenSink& sink) {
  for (const auto& golden : read_golden_families(folder)) {
    guard(golden.name, sink, [&] { check_family(golden, sink); });
  }
}
