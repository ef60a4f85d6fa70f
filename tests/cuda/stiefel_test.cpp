// The primitives of the Stiefel manifold on a CUDA device against those on the CPU, in f32 and f64.
#include <array>
#include <initializer_list>
#include <vector>

#include <doctest/doctest.h>

#include "core/ops/ops.h"
#include "tests/core/ops/numbers.h"
#include "tests/cuda/compare.h"
#include "tests/device.h"

namespace ops = csreft::ops;
using csreft::Device;
using csreft::DType;
using csreft::Shape;
using csreft::Tensor;
using csreft::test::compare;
using csreft::test::distance;
using csreft::test::normal;
using csreft::test::Place;
using csreft::test::Results;

namespace {

// A stack of orthonormal blocks.
Tensor orthonormal(Shape shape, std::int64_t block_rows, std::uint64_t number) {
  return ops::stiefel_retract(normal(shape, number), Tensor::zeros(shape, DType::f64), block_rows,
                              ops::StiefelRetraction::qr);
}

constexpr std::array metrics{ops::StiefelMetric::euclidean, ops::StiefelMetric::canonical};
constexpr std::array retractions{ops::StiefelRetraction::qr, ops::StiefelRetraction::polar,
                                 ops::StiefelRetraction::cayley};

struct StackSize {
  std::int64_t rows, d, block_rows;
};

}  // namespace

// One row, square matrices, more columns than threads, more rows than warps; the last one's r x r matrices do not fit
// into shared memory.
TEST_CASE("cuda: gradients and retractions on the Stiefel manifold") {
  for (const auto& [rows, d, block_rows] : std::initializer_list<StackSize>{
           {2, 5, 1}, {1, 1, 1}, {5, 5, 5}, {6, 300, 2}, {16, 40, 16}, {34, 70, 34}, {0, 4, 2}}) {
    CAPTURE(block_rows);
    const Tensor point = orthonormal({rows, d}, block_rows, 1);
    compare([&, r = block_rows](const Place& on) {
      const Tensor R = on(point), G = on(point.shape(), 2);
      Results results;
      for (const auto metric : metrics) results.push_back(ops::stiefel_gradient(R, G, r, metric));
      for (const auto retraction : retractions) {
        results.push_back(ops::stiefel_retract(R, ops::scale(results[0], 0.3), r, retraction));
      }
      return results;
    });
  }
}

TEST_CASE("cuda: retractions stay on the manifold after steps that leave no digit of the start") {
  for (const auto& [rows, d, block_rows] : std::initializer_list<StackSize>{{1, 5, 1}, {3, 7, 3}, {5, 5, 5}}) {
    const Tensor R = orthonormal({rows, d}, block_rows, 1);
    Tensor one_direction = Tensor::zeros({rows, d}, DType::f64);
    for (std::int64_t i = 0; i < rows; ++i) one_direction.data<double>()[i * d] = 1e20;
    for (const Tensor& step : {ops::scale(normal({rows, d}, 2), 1e20), one_direction}) {
      const Tensor xi = ops::stiefel_gradient(R, step, block_rows, ops::StiefelMetric::euclidean);
      for (const auto retraction : retractions) {
        CAPTURE(static_cast<int>(retraction));
        const Tensor Y = ops::stiefel_retract(R.to(test_device()), xi.to(test_device()), block_rows, retraction);
        const Tensor gram = ops::matmul(Y, Y, ops::Transpose::no, ops::Transpose::yes).to(Device{});
        Tensor identity = Tensor::zeros({rows, rows}, DType::f64);
        for (std::int64_t i = 0; i < rows; ++i) identity.data<double>()[i * rows + i] = 1;
        CHECK(distance(gram, identity) < 1e-13);  // f64, sums of a few terms of order 1
      }
    }
  }
}

// 60 stacks: more than one launch holds.
TEST_CASE("cuda: optimizer steps on the Stiefel manifold, of several stacks at once") {
  compare([](const Place& on) {
    std::vector<ops::StiefelUpdate> updates;
    Results results;
    for (std::uint64_t i = 0; i < 60; ++i) {
      const std::int64_t block_rows = 1 + static_cast<std::int64_t>(i) % 3, blocks = static_cast<std::int64_t>(i) % 4;
      const Shape shape{blocks * block_rows, 9};
      const Tensor R = on(orthonormal(shape, block_rows, i)), m = on(shape, i + 1);
      const Tensor v = i % 5 == 0 ? Tensor{} : Tensor::full({blocks}, 0.5, DType::f64, on.device);
      updates.push_back(
          {R,
           on(shape, i + 2),
           m,
           v,
           block_rows,
           {metrics[i % 2], retractions[i % 3], 0.9, 0.1, 0.99, 0.01 * static_cast<double>(i), 1.3, 1e-8}});
      results.insert(results.end(), {R, m});
      if (v.defined()) results.push_back(v);
    }
    ops::stiefel_step_(updates);
    return results;
  });
}
