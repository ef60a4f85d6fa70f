#include "autograd/gradcheck.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/ops/ops.h"
#include "core/tensor/random.h"

namespace csreft {
namespace {

// Streams of the seed.
constexpr std::uint64_t weight_stream = 0;
constexpr std::uint64_t sample_stream = 1;

// One element of an input, moved for as long as this lives.
class Moved {
 public:
  Moved(const Tensor& x, std::int64_t element, double by) : x_(x), before_(x.clone()) {
    const Tensor moved = x.to(Device{}).clone();
    moved.data<double>()[element] += by;
    ops::copy_(x_, moved.to(x_.device()));
  }
  ~Moved() { ops::copy_(x_, before_); }
  Moved(const Moved&) = delete;
  Moved& operator=(const Moved&) = delete;

 private:
  Tensor x_, before_;
};

// (L(x + e) - L(x - e)) / 2e. Outputs are subtracted before they are summed: those that do not change cancel.
double numeric_derivative(const std::function<Variable()>& function, const Tensor& x, std::int64_t element,
                          const Tensor& weights, double step) {
  const NoGrad no_grad;
  const double e = step * std::max(1.0, std::abs(x.to(Device{}).data<double>()[element]));
  const auto value_at = [&](double by) {
    const Moved moved(x, element, by);
    return function().value().to(Device{}).clone();
  };
  const Tensor above = value_at(e), below = value_at(-e);
  const auto a = above.span<double>(), b = below.span<double>(), w = weights.span<double>();
  double sum = 0.0;
  for (std::size_t i = 0; i < w.size(); ++i) sum += w[i] * (a[i] - b[i]);
  return sum / (2.0 * e);
}

std::vector<std::int64_t> chosen_elements(std::int64_t n, std::size_t input, const GradcheckOptions& options) {
  std::vector<std::int64_t> elements(static_cast<std::size_t>(n));
  std::iota(elements.begin(), elements.end(), 0);
  if (options.sample > 0 && options.sample < n) {
    Random random(options.seed, sample_stream + input);
    shuffle(elements, random);
    elements.resize(static_cast<std::size_t>(options.sample));
  }
  return elements;
}

// Analytic gradients of every input: zeros where the output does not depend on it.
std::vector<Tensor> analytic_gradients(const std::function<Variable()>& function, std::span<const Variable> inputs,
                                       Tensor& weights, std::uint64_t seed) {
  for (const auto& input : inputs) input.clear_grad();
  const Variable output = function();
  require(output.defined() && output.value().dtype() == DType::f64, "gradcheck: the function gives no f64 tensor");
  weights = random_normal(output.shape(), 0.0, 1.0, seed, weight_stream, DType::f64);
  backward(output, weights.to(output.value().device()));
  std::vector<Tensor> gradients;
  for (const auto& input : inputs) {
    const Tensor& gradient = input.grad();
    gradients.push_back(gradient.defined() ? gradient.to(Device{}) : Tensor::zeros(input.shape(), DType::f64));
    input.clear_grad();
  }
  return gradients;
}

}  // namespace

std::string GradcheckResult::str() const {
  return fmt::format(
      "input {}, element {}: backward gives {:.12g}, differences give {:.12g} ({:.3g} times what is allowed)", input,
      element, analytic, numeric, max_error);
}

GradcheckResult gradcheck(const std::function<Variable()>& function, std::span<const Variable> inputs,
                          const GradcheckOptions& options) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    require(inputs[i].requires_grad() && inputs[i].value().dtype() == DType::f64,
            "gradcheck: input {} is not an f64 parameter", i);
  }
  Tensor weights;
  const auto gradients = analytic_gradients(function, inputs, weights, options.seed);

  GradcheckResult result;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    for (const auto element : chosen_elements(inputs[i].value().numel(), i, options)) {
      const double analytic = gradients[i].data<double>()[element];
      const double numeric = numeric_derivative(function, inputs[i].value(), element, weights, options.step);
      const double allowed = options.absolute + options.relative * std::max(std::abs(analytic), std::abs(numeric));
      double error = std::abs(analytic - numeric) / allowed;
      if (std::isnan(error)) error = std::numeric_limits<double>::infinity();
      if (result.checked == 0 || error > result.max_error) {
        result.max_error = error;
        result.input = i;
        result.element = element;
        result.analytic = analytic;
        result.numeric = numeric;
      }
      ++result.checked;
    }
  }
  result.passed = result.max_error <= 1.0;
  return result;
}

GradcheckResult gradcheck(const std::function<Variable(std::span<const Variable>)>& function,
                          std::span<const Tensor> inputs, const GradcheckOptions& options) {
  std::vector<Variable> parameters;
  for (const auto& input : inputs) parameters.push_back(Variable::parameter(input.clone()));
  return gradcheck([&] { return function(parameters); }, parameters, options);
}

}  // namespace csreft
