#include "tests/reft/stiefel/golden_stiefel.h"

#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "core/base/json_file.h"
#include "core/ops/ops.h"
#include "core/tensor/safetensors.h"
#include "tests/device.h"
#include "tests/reft/stiefel/choices.h"

using csreft::Optimizer;
using csreft::Tensor;

namespace {

constexpr double step_tolerance = 1e-5;
constexpr double trajectory_tolerance = 1e-4;

struct Golden {
  csreft::SafeTensors tensors;
  nlohmann::json values;
  std::string size;  // "4x64"

  // In f64, on the test device.
  Tensor get(const std::string& what) const {
    return on_test_device(tensors.get(size + "." + what).to(csreft::DType::f64));
  }
};

struct Trajectory {
  std::string name;
  double lr;
  double momentum;  // of the Riemannian SGD
  bool adam;
};
const std::array<Trajectory, 3> trajectories{
    {{"rsgd", 0.05, 0.0, false}, {"rsgd_momentum", 0.02, 0.9, false}, {"radam", 0.05, 0.0, true}}};

double largest_difference(const Tensor& value, const Tensor& expected) {
  const Tensor a = value.to(csreft::Device{}), b = expected.to(csreft::Device{});
  csreft::require(a.shape() == b.shape(), "a value has shape {}: expected {}", b.shape().str(), a.shape().str());
  double largest = 0;
  for (std::size_t i = 0; i < a.span<double>().size(); ++i) {
    const double difference = std::abs(a.span<double>()[i] - b.span<double>()[i]);
    if (!(difference <= largest)) largest = difference;  // NaN too
  }
  return largest;
}

GoldenResult judge(std::string name, double difference, double tolerance, const char* unit) {
  return {"stiefel " + std::move(name), difference <= tolerance,
          fmt::format("{} difference {:.2g}, allowed {:.2g}", unit, difference, tolerance)};
}

// geoopt 0.5.1 starts the momentum at the matrix of partial derivatives.
void start_momentum(Optimizer& optimizer, const Tensor& G) {
  auto state = optimizer.state();
  for (auto& [name, tensor] : state) {
    if (name.ends_with(".first_moment")) tensor = G;
  }
  optimizer.load_state(state);
}

void check_trajectory(const Golden& golden, const Trajectory& trajectory, std::vector<GoldenResult>& results) {
  const Tensor R = golden.get("R").clone();
  const Tensor target = golden.get("target");
  const auto rule = trajectory.adam ? csreft::test::rule_of("riemannian_adam")
                                    : csreft::test::rule_of("riemannian_sgd", {{"momentum", trajectory.momentum}});
  Optimizer optimizer = csreft::test::optimizer_of(R, R.rows(), rule);
  if (!trajectory.adam) start_momentum(optimizer, csreft::ops::sub(R, target));
  const std::string name = golden.size + "." + trajectory.name;
  const auto losses = golden.values.at(name + ".loss").get<std::vector<double>>();
  double largest = 0;
  for (const double expected : losses) {
    const Tensor G = csreft::ops::sub(R, target);
    const double difference = std::abs(0.5 * csreft::ops::squared_norm(G) - expected) / expected;
    if (!(difference <= largest)) largest = difference;
    optimizer.step({{G}}, trajectory.lr);
  }
  results.push_back(judge(name + ".loss", largest, trajectory_tolerance, "relative"));
  const double difference = largest_difference(R, golden.get(trajectory.name + ".final"));
  results.push_back(judge(name + ".final", difference, trajectory_tolerance, "absolute"));
}

void check_size(const Golden& golden, std::vector<GoldenResult>& results) {
  const Tensor R = golden.get("R");
  const Tensor G = golden.get("G");
  const auto compare = [&](const std::string& what, const Tensor& value) {
    const double difference = largest_difference(value, golden.get(what));
    results.push_back(judge(golden.size + "." + what, difference, step_tolerance, "absolute"));
  };
  for (const csreft::Metric& metric : csreft::metrics()) {
    compare("rgrad_" + std::string(metric.name), csreft::ops::stiefel_gradient(R, G, R.rows(), metric.metric));
  }
  const Tensor gradient = csreft::ops::stiefel_gradient(R, G, R.rows(), csreft::ops::StiefelMetric::euclidean);
  const Tensor xi = csreft::ops::scale(gradient, -0.1);
  for (const csreft::Retraction& retraction : csreft::retractions()) {
    compare("retract_" + std::string(retraction.name),
            csreft::ops::stiefel_retract(R, xi, R.rows(), retraction.retraction));
  }
  for (const Trajectory& trajectory : trajectories) {
    if (golden.tensors.contains(golden.size + "." + trajectory.name + ".final")) {
      check_trajectory(golden, trajectory, results);
    }
  }
}

}  // namespace

std::vector<GoldenResult> check_golden_stiefel(const std::filesystem::path& directory) {
  Golden golden{csreft::SafeTensors::open(directory / "golden.safetensors"),
                csreft::read_json_object(directory / "golden.json"),
                {}};
  std::vector<GoldenResult> results;
  for (const std::string& name : golden.tensors.names()) {
    if (!name.ends_with(".R")) continue;
    golden.size = name.substr(0, name.size() - 2);
    check_size(golden, results);
  }
  csreft::require(!results.empty(), "{} has no tensor RxD.R", (directory / "golden.safetensors").string());
  return results;
}
