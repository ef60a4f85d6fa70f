#include "tests/autograd/golden_optim.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "autograd/optimizers.h"
#include "core/base/json_file.h"
#include "core/ops/ops.h"
#include "core/tensor/safetensors.h"
#include "tests/autograd/adamw_step.h"
#include "tests/device.h"

using csreft::Tensor;

namespace {

constexpr int steps = 25;
constexpr double tolerance = 1e-5;

csreft::AdamWOptions options_of(const nlohmann::json& settings, const std::string& where) {
  csreft::AdamWOptions options;
  options.weight_decay = csreft::get_json<double>(settings, "weight_decay", where);
  options.eps = csreft::find_json<double>(settings, "eps", where).value_or(options.eps);
  if (settings.contains("betas")) {
    options.beta1 = settings.at("betas").at(0).get<double>();
    options.beta2 = settings.at("betas").at(1).get<double>();
  }
  return options;
}

}  // namespace

std::vector<GoldenResult> check_golden_optim(const std::filesystem::path& directory) {
  const auto tensors = csreft::SafeTensors::open(directory / "golden.safetensors");
  const auto cases = csreft::read_json_object(directory / "golden.json");
  const Tensor target = on_test_device(tensors.get("target").to(csreft::DType::f64));
  std::vector<GoldenResult> results;
  for (const auto& [name, settings] : cases.items()) {
    const double lr = csreft::get_json<double>(settings, "lr", name);
    Tensor w = on_test_device(tensors.get("w0").to(csreft::DType::f64)).clone();
    auto state = csreft::adamw_state(w);
    for (int i = 0; i < steps; ++i) {
      const Tensor g = csreft::ops::scale(csreft::ops::sub(w, target), 2.0 / static_cast<double>(w.numel()));
      csreft::test::adamw_step(w, g, state, lr, options_of(settings, name));
    }
    const Tensor difference =
        csreft::ops::sub(w.to(csreft::Device{}), tensors.get(name + ".final").to(csreft::DType::f64));
    double largest = 0;
    for (const double x : difference.span<double>()) {
      if (!(std::abs(x) <= largest)) largest = std::abs(x);  // NaN too
    }
    results.push_back({"optim " + name, largest <= tolerance,
                       fmt::format("absolute difference {:.2g}, allowed {:.2g}", largest, tolerance)});
  }
  csreft::require(!results.empty(), "{} has no cases", (directory / "golden.json").string());
  return results;
}
