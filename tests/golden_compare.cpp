#include "tests/golden_compare.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/compare.h"

using csreft::Tensor;

bool guard(const std::string& name, const GoldenSink& sink, const std::function<void()>& check) {
  try {
    check();
    return true;
  } catch (const std::exception& error) {
    sink({name, false, error.what()});
    return false;
  }
}

Tensor GoldenTensors::take(const std::string& name) {
  const Tensor tensor = file_.get(name).to(csreft::DType::f32);
  used_.insert(name);
  return tensor;
}

void GoldenTensors::give_up(std::string_view prefix) {
  for (const auto& name : file_.names()) {
    if (name.starts_with(prefix)) used_.insert(name);
  }
}

std::vector<std::string> GoldenTensors::unused() const {
  std::vector<std::string> names = file_.names();
  std::erase_if(names, [&](const std::string& name) { return used_.contains(name); });
  return names;
}

void GoldenComparison::add(const std::string& what, const Tensor& got, const Tensor& expected) {
  if (got.shape() != expected.shape()) {
    keep(fmt::format("{} of shape {} instead of {}", what, got.shape().str(), expected.shape().str()),
         std::numeric_limits<double>::infinity(), 1.0);
    return;
  }
  keep(what, largest_difference(got.to(csreft::Device{}), expected), largest_element(expected));
}

void GoldenComparison::add(const std::string& what, double got, double expected) {
  const double difference = std::abs(got - expected);
  keep(what, std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference, std::abs(expected));
}

void GoldenComparison::keep(const std::string& what, double difference, double scale) {
  ++compared_;
  // Where nothing but zeros is expected, the difference counts as it is.
  if (tolerance_.measure == Measure::relative && scale > 0.0) difference /= scale;
  if (difference <= worst_) return;
  worst_ = difference;
  where_ = what;
}

GoldenResult GoldenComparison::result() const {
  if (compared_ == 0) return {name_, false, "there is nothing to compare"};
  return {name_, worst_ <= tolerance_.value,
          fmt::format("{} difference {:.2g} in {}, allowed {:.2g}, {} compared",
                      tolerance_.measure == Measure::relative ? "relative" : "absolute", worst_, where_,
                      tolerance_.value, compared_)};
}
