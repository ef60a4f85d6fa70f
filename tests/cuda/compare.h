// What is computed on a CUDA device against the same on the CPU.
#pragma once

#include <functional>
#include <initializer_list>
#include <vector>

#include <doctest/doctest.h>

#include "tests/core/ops/numbers.h"
#include "tests/device.h"

namespace csreft::test {

// Puts the inputs of a case where it is computed.
struct Place {
  DType dtype;
  Device device;

  Tensor operator()(const Tensor& t) const { return t.to(dtype).to(device).clone(); }
  // Standard normal elements.
  Tensor operator()(Shape shape, std::uint64_t number) const { return (*this)(normal(shape, number)); }
};

using Results = std::vector<Tensor>;
using Compute = std::function<Results(const Place&)>;

inline double largest(const Tensor& t) { return distance(t, Tensor::zeros(t.shape(), DType::f64)); }

// The tolerances are relative to the largest element: sums of some hundred products, in another order.
inline void compare(const Compute& compute, std::initializer_list<DType> dtypes = {DType::f32, DType::f64}) {
  for (const DType dtype : dtypes) {
    const double tolerance = dtype == DType::f32 ? 1e-5 : 1e-12;
    CAPTURE(name_of(dtype));
    const Results expected = compute({dtype, Device{}});
    const Results got = compute({dtype, test_device()}), again = compute({dtype, test_device()});
    REQUIRE(expected.size() == got.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      CAPTURE(i);
      REQUIRE(got[i].device() == test_device());
      const Tensor here = got[i].to(Device{});
      CHECK(distance(here, expected[i]) <= tolerance * (1 + largest(expected[i])));
      CHECK(same_bits(here, again[i].to(Device{})));
    }
  }
}

}  // namespace csreft::test
