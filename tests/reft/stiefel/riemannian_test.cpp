#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <doctest/doctest.h>
#include <omp.h>

#include "core/ops/ops.h"
#include "core/tensor/random.h"
#include "reft/matrix_view.h"
#include "reft/stiefel/optimizer.h"
#include "tests/core/ops/numbers.h"
#include "tests/device.h"

using namespace csreft;
using test::same_bits;

namespace {

Tensor noise(std::int64_t rows, std::int64_t d, std::uint64_t stream, DType dtype = DType::f64) {
  return random_normal({rows, d}, 0.0, 1.0, 5, stream, dtype);
}

// Three steps of Riemannian Adam, with the gradients of rows first_row, first_row + 1, ... of a stack of 16.
void take_steps(Tensor& R, std::int64_t block_rows, std::int64_t first_row) {
  auto state = riemannian_adam_state(R, block_rows);
  for (std::uint64_t t = 0; t < 3; ++t) {
    const Tensor G = noise(16, R.cols(), t, DType::f32).slice(first_row, first_row + R.rows());
    riemannian_adam_step(R, G, state, 0.1, stiefel(), block_rows);
  }
}

}  // namespace

TEST_CASE("Riemannian Adam follows its formula, written out for one point") {
  Tensor R = random_stiefel(2, 5, 2, 1, 0, DType::f64);
  const Manifold manifold = stiefel();
  auto state = riemannian_adam_state(R, 2);
  Tensor point = R.clone();
  Matrix m = Matrix::Zero(2, 5);
  double v = 0;
  for (int t = 1; t <= 3; ++t) {
    const Tensor G = noise(2, 5, static_cast<std::uint64_t>(t));
    const Tensor gradient = manifold.gradient(point, G);
    m = 0.9 * m + 0.1 * matrix(gradient);
    v = 0.999 * v + 0.001 * matrix(gradient).squaredNorm();
    const double length = 0.1 / (1 - std::pow(0.9, t)) / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
    point = retract_qr(point, tensor(-length * m));
    m = matrix(manifold.project(point, tensor(m)));
    riemannian_adam_step(R, G, state, 0.1, manifold, 2);
    // f64 rounding of a few operations on elements of order 1
    CHECK((matrix(R) - matrix(point)).cwiseAbs().maxCoeff() < 1e-14);
    CHECK((matrix(state.first_moment) - m).cwiseAbs().maxCoeff() < 1e-14);
  }
}

TEST_CASE("Ten thousand steps of Riemannian Adam in f32 leave R orthonormal to 1e-5, by every retraction") {
  for (const Retraction* retraction : retractions()) {
    CAPTURE(retraction->name);
    Tensor R = random_stiefel(2, 576, 2, 1, 0);
    auto state = riemannian_adam_state(R, 2);
    const Manifold manifold = stiefel(StiefelMetric::euclidean, *retraction);
    const Tensor gradients = noise(20, 576, 1, DType::f32);  // ten gradients in turn
    for (std::int64_t t = 0; t < 10000; ++t) {
      const std::int64_t i = t % 10;
      riemannian_adam_step(R, gradients.slice(2 * i, 2 * i + 2), state, 0.01, manifold, 2);
    }
    CHECK(orthonormality_error(R, 2) < 1e-6);  // one rounding to f32, whatever the number of steps
  }
}

TEST_CASE("Steps at the rank and the width of large models leave R orthonormal on the test device") {
  for (const Retraction* retraction : retractions()) {
    for (const std::int64_t block_rows : {4, 16}) {  // points of their own, and a joint one
      CAPTURE(retraction->name);
      CAPTURE(block_rows);
      Tensor R = on_test_device(random_stiefel(16, 4096, block_rows, 1, 0));
      const Tensor G = on_test_device(noise(16, 4096, 1, DType::f32));
      auto state = riemannian_adam_state(R, block_rows);
      const Manifold manifold = stiefel(StiefelMetric::euclidean, *retraction);
      for (int t = 0; t < 5; ++t) riemannian_adam_step(R, G, state, 0.1, manifold, block_rows);
      CHECK(orthonormality_error(R.to(Device{}), block_rows) < 1e-6);
    }
  }
}

TEST_CASE("Many steps in f32 leave R orthonormal on the test device") {
  Tensor R = on_test_device(random_stiefel(6, 48, 3, 1, 0));
  const Tensor start = R.clone(), gradients = on_test_device(noise(60, 48, 1, DType::f32));
  auto state = riemannian_adam_state(R, 3);
  for (std::int64_t t = 0; t < 300; ++t) {
    const std::int64_t i = t % 10;
    riemannian_adam_step(R, gradients.slice(6 * i, 6 * i + 6), state, 0.05, stiefel(), 3);
  }
  CHECK(orthonormality_error(R.to(Device{}), 3) < 1e-6);  // one rounding to f32, whatever the number of steps
  CHECK(ops::squared_norm(ops::sub(R, start)) > 0.1);     // it has moved
}

TEST_CASE("A manifold that is no primitive makes the same steps by its functions, on the host") {
  for (const StiefelMetric metric : {StiefelMetric::euclidean, StiefelMetric::canonical}) {
    for (const Retraction* retraction : retractions()) {
      for (const bool adam : {true, false}) {
        CAPTURE(retraction->name);
        CAPTURE(adam);
        const Manifold primitive = stiefel(metric, *retraction);
        Manifold functions = primitive;
        functions.primitive.reset();
        std::vector<Tensor> results;
        for (const Manifold& manifold : {primitive, functions}) {
          Tensor R = on_test_device(random_stiefel(6, 20, 3, 1, 0, DType::f64));
          auto state = adam ? riemannian_adam_state(R, 3) : riemannian_sgd_state(R, 3);
          for (std::uint64_t t = 0; t < 3; ++t) {
            const Tensor G = on_test_device(noise(6, 20, t));
            if (adam) riemannian_adam_step(R, G, state, 0.1, manifold, 3);
            if (!adam) riemannian_sgd_step(R, G, state, 0.1, manifold, 3, {.start_at_derivatives = true});
          }
          CHECK(R.device() == test_device());
          CHECK(state.step == 3);
          results.push_back(R.to(Device{}));
          results.push_back(state.first_moment.to(Device{}));
          results.push_back(adam ? state.second_moment.to(Device{}).view({2, 1}) : results.back());
        }
        // f64 rounding of elements of order 1 to 10, over three steps
        for (std::size_t i = 0; i < 3; ++i) {
          CHECK((matrix(results[i]) - matrix(results[i + 3])).cwiseAbs().maxCoeff() < 1e-12);
        }
      }
    }
  }
}

// min |R A - B| over R R^T = I, A A^T = I with r = d: R = U V^T of B A^T = U S V^T (Schonemann 1966).
TEST_CASE("Both Riemannian optimizers find the solution of a Procrustes problem") {
  const std::int64_t d = 4;
  const Tensor A = random_stiefel(d, 9, d, 1, 0, DType::f64);
  const Tensor solution = random_stiefel(d, d, d, 1, 1, DType::f64);
  const Matrix B = matrix(solution) * matrix(A) + 0.05 * matrix(noise(d, 9, 3));
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(Eigen::MatrixXd(B * matrix(A).transpose()),
                                              Eigen::ComputeFullU | Eigen::ComputeFullV);
  const Matrix expected = svd.matrixU() * svd.matrixV().transpose();
  for (const StiefelMetric metric : {StiefelMetric::euclidean, StiefelMetric::canonical}) {
    for (const Retraction* retraction : retractions()) {
      for (const bool adam : {true, false}) {
        CAPTURE(retraction->name);
        CAPTURE(adam);
        const Manifold manifold = stiefel(metric, *retraction);
        // A start in the solution's component: square orthogonal matrices fall into two, by determinant.
        Tensor R = retract_polar(solution, tensor(0.2 * matrix(noise(d, d, 7))));
        auto state = adam ? riemannian_adam_state(R, d) : riemannian_sgd_state(R, d);
        for (int t = 0; t < 600; ++t) {
          const Tensor G = tensor((matrix(R) * matrix(A) - B) * matrix(A).transpose());
          const double lr = 0.2 * (1.0 - t / 600.0);
          if (adam) riemannian_adam_step(R, G, state, lr, manifold, d);
          if (!adam) riemannian_sgd_step(R, G, state, lr, manifold, d, {.momentum = 0.5});
        }
        // Adam's last steps are of about lr / 600, and its moments remember longer ones.
        CHECK((matrix(R) - expected).cwiseAbs().maxCoeff() < (adam ? 1e-3 : 1e-10));
      }
    }
  }
}

TEST_CASE("Momentum starts at zero, or as geoopt starts it") {
  const Tensor start = random_stiefel(2, 6, 2, 1, 0, DType::f64);
  const Tensor G = noise(2, 6, 1);
  const Manifold manifold = stiefel();
  const Tensor gradient = manifold.gradient(start, G);
  Tensor R = start.clone();
  auto state = riemannian_sgd_state(R, 2);
  riemannian_sgd_step(R, G, state, 0.1, manifold, 2, {.momentum = 0.9});
  CHECK(same_bits(R, retract_qr(start, tensor(-0.1 * matrix(gradient)))));
  R = start.clone();
  state = riemannian_sgd_state(R, 2);
  riemannian_sgd_step(R, G, state, 0.1, manifold, 2, {.momentum = 0.9, .start_at_derivatives = true});
  const Tensor m = tensor(0.9 * matrix(G) + matrix(gradient));
  // One multiplication may be fused with an addition on one side only.
  CHECK((matrix(R) - matrix(retract_qr(start, tensor(-0.1 * matrix(m))))).cwiseAbs().maxCoeff() < 1e-15);
}

TEST_CASE("Steps do not depend on the number of threads, for separate blocks or a joint one") {
  const std::int64_t d = 3000;  // enough for a team of threads
  const int before = omp_get_max_threads();
  for (const std::int64_t block_rows : {4, 16}) {
    CAPTURE(block_rows);
    std::vector<Tensor> results;
    for (const int threads : {1, 2, 3}) {
      omp_set_num_threads(threads);
      results.push_back(random_stiefel(16, d, block_rows, 1, 0));
      take_steps(results.back(), block_rows, 0);
    }
    omp_set_num_threads(before);
    CHECK(same_bits(results[0], results[1]));
    CHECK(same_bits(results[0], results[2]));
  }
}

TEST_CASE("An exception in a block reaches the caller, the first block's if several throw") {
  for (const std::int64_t elements : {1, 1 << 20}) {  // one thread, and a team
    std::vector<int> visits(8);
    const auto visit = [&](std::int64_t block) {
      ++visits[static_cast<std::size_t>(block)];
      if (block % 3 == 2) fail("block {}", block);
    };
    CHECK_THROWS_WITH_AS(for_each_block(8, elements, visit), "block 2", Error);
    CHECK(visits == std::vector<int>(8, 1));
  }
}

TEST_CASE("Blocks of a stack move as they would alone") {
  Tensor R = random_stiefel(8, 64, 2, 1, 0);
  Tensor alone = R.slice(2, 4).clone();
  take_steps(R, 2, 0);
  take_steps(alone, 2, 2);
  CHECK(same_bits(alone, R.slice(2, 4)));
}

TEST_CASE("Zero and huge gradients, one row and square matrices stay on the manifold") {
  struct Size {
    std::int64_t r, d;
  };
  for (const Retraction* retraction : retractions()) {
    const Manifold manifold = stiefel(StiefelMetric::euclidean, *retraction);
    for (const Size size : {Size{1, 8}, Size{4, 4}, Size{3, 8}, Size{1, 1}}) {
      CAPTURE(retraction->name);
      CAPTURE(size.r);
      CAPTURE(size.d);
      const Tensor start = random_stiefel(size.r, size.d, size.r, 1, 0);
      Tensor R = start.clone();
      auto adam = riemannian_adam_state(R, size.r);
      riemannian_adam_step(R, Tensor::zeros({size.r, size.d}), adam, 0.1, manifold, size.r);
      CHECK((matrix(R.to(DType::f64)) - matrix(start.to(DType::f64))).cwiseAbs().maxCoeff() < 1e-7);
      auto sgd = riemannian_sgd_state(R, size.r);
      for (const double scale : {1e20, 1.0, 1e-20}) {
        const Tensor G = random_normal({size.r, size.d}, 0.0, scale, 1, 1);
        riemannian_adam_step(R, G, adam, 0.1, manifold, size.r);
        CHECK(orthonormality_error(R, size.r) < 1e-6);
        riemannian_sgd_step(R, G, sgd, 0.1, manifold, size.r);
        CHECK(orthonormality_error(R, size.r) < 1e-6);
      }
    }
  }
}

TEST_CASE("A gradient that is not finite is an error that changes nothing") {
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e200}) {
    Tensor R = random_stiefel(2, 5, 2, 1, 0, DType::f64);
    const Tensor before = R.clone();
    auto state = riemannian_adam_state(R, 2);
    const Tensor G = noise(2, 5, 1);
    G.span<double>()[3] = bad;
    CHECK_THROWS_AS(riemannian_adam_step(R, G, state, 0.1, stiefel(), 2), Error);
    CHECK_THROWS_AS(riemannian_sgd_step(R, G, state, 0.1, stiefel(), 2), Error);
    CHECK(same_bits(R, before));
    CHECK(state.step == 0);
  }
}

TEST_CASE("A gradient or a state that does not fit the point is refused") {
  Tensor R = random_stiefel(4, 8, 2, 1, 0);
  auto state = riemannian_adam_state(R, 2);
  CHECK_THROWS_AS(riemannian_adam_step(R, noise(4, 8, 1), state, 0.1, stiefel(), 2), Error);
  CHECK_THROWS_AS(riemannian_adam_step(R, noise(2, 8, 1, DType::f32), state, 0.1, stiefel(), 2), Error);
  CHECK_THROWS_AS(riemannian_adam_step(R, noise(4, 8, 1, DType::f32), state, 0.1, stiefel(), 4), Error);
  CHECK_THROWS_AS(riemannian_adam_step(R, noise(4, 8, 1, DType::f32), state, 0.1, stiefel(), 3), Error);
}
