// Every optimizer of the table: its formula, whether R stays on the manifold, its options.
#include <Eigen/SVD>
#include <cmath>
#include <vector>

#include <doctest/doctest.h>
#include <omp.h>

#include "core/ops/ops.h"
#include "reft/matrix_view.h"
#include "reft/stiefel/stiefel.h"
#include "tests/core/ops/numbers.h"
#include "tests/device.h"
#include "tests/reft/stiefel/choices.h"
#include "tests/reft/stiefel/reference.h"

using namespace csreft;
using nlohmann::json;
using test::manifold_choices;
using test::optimizer_of;
using test::rule_of;
using test::same_bits;

namespace {

Tensor noise(std::int64_t rows, std::int64_t d, std::uint64_t stream, DType dtype = DType::f64) {
  return random_normal({rows, d}, 0.0, 1.0, 5, stream, dtype);
}

void step(Optimizer& optimizer, const Tensor& G, double lr) { optimizer.step({{G}}, lr); }

Matrix rows_of(const Tensor& stack, std::int64_t begin, std::int64_t n) {
  return matrix(stack.to(Device{}).to(DType::f64)).middleRows(begin, n);
}

double largest(const Matrix& m) { return m.cwiseAbs().maxCoeff(); }

// The text of the Error that the options make.
std::string refusal(std::string_view optimizer, const json& options) {
  try {
    rule_of(optimizer, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

// min |R A - B| over R R^T = I, A A^T = I with r = d: R = U V^T of B A^T = U S V^T (Schonemann 1966).
struct Procrustes {
  static constexpr std::int64_t d = 4;
  Matrix A = matrix(random_stiefel(d, 9, d, 1, 0, DType::f64));
  Tensor start_of_B = random_stiefel(d, d, d, 1, 1, DType::f64);
  Matrix B = matrix(start_of_B) * A + 0.05 * matrix(noise(d, 9, 3));

  Matrix solution() const {
    const Eigen::JacobiSVD<Eigen::MatrixXd> svd(Eigen::MatrixXd(B * A.transpose()),
                                                Eigen::ComputeFullU | Eigen::ComputeFullV);
    return svd.matrixU() * svd.matrixV().transpose();
  }
  Tensor derivatives(const Tensor& R) const { return tensor((matrix(R) * A - B) * A.transpose()); }
};

}  // namespace

TEST_CASE("Every optimizer of the table follows its formula, with every metric and retraction it offers") {
  for (const auto* entry : optimizer_rules()) {
    for (const json& choice : manifold_choices(entry->name)) {
      for (const std::int64_t block_rows : {2, 6}) {  // points of their own, and a joint one
        CAPTURE(entry->name);
        CAPTURE(choice.dump());
        CAPTURE(block_rows);
        auto rule = rule_of(entry->name, choice);
        set_options(*rule, {{"stiefel_lr", 1.5}});
        const json options = options_json(*rule);
        const Tensor R = on_test_device(random_stiefel(6, 9, block_rows, 1, 0, DType::f64));
        std::vector<test::ReferencePoint> points;
        for (std::int64_t row = 0; row < 6; row += block_rows) points.push_back({rows_of(R, row, block_rows)});
        Optimizer optimizer = optimizer_of(R, block_rows, rule);
        for (std::uint64_t t = 0; t < 4; ++t) {
          const Tensor G = noise(6, 9, t);
          step(optimizer, on_test_device(G), 0.1);
          for (std::size_t i = 0; i < points.size(); ++i) {
            const auto row = static_cast<std::int64_t>(i) * block_rows;
            test::reference_step(entry->name, options, 0.1, rows_of(G, row, block_rows), points[i]);
            // f64 rounding of sums of elements of order 1 to 10, over four steps
            CHECK(largest(rows_of(R, row, block_rows) - points[i].R) < 1e-12);
          }
        }
      }
    }
  }
}

TEST_CASE("200 steps in f32 keep R on the manifold with every optimizer that says so, independent or joint") {
  const Tensor half = noise(24, 24, 1, DType::f32);
  const Tensor curvature = ops::matmul(half, half, ops::Transpose::no, ops::Transpose::yes);
  const Tensor target = noise(6, 24, 2, DType::f32);
  for (const auto* entry : optimizer_rules()) {
    for (const json& choice : manifold_choices(entry->name)) {
      for (const std::int64_t block_rows : {2, 6}) {
        CAPTURE(entry->name);
        CAPTURE(choice.dump());
        CAPTURE(block_rows);
        const Tensor start = random_stiefel(6, 24, block_rows, 1, 0), R = on_test_device(start.clone());
        const Tensor M = on_test_device(curvature), T = on_test_device(target);
        Optimizer optimizer = optimizer_of(R, block_rows, rule_of(entry->name, choice));
        double worst = 0;
        for (int t = 0; t < 200; ++t) {
          step(optimizer, ops::sub(ops::matmul(R, M), T), 0.05);  // of tr(R M R^T) / 2 - tr(T R^T)
          worst = std::max(worst, orthonormality_error(R, block_rows));
        }
        CHECK(largest(rows_of(R, 0, 6) - rows_of(start, 0, 6)) > 0.1);  // it has moved
        if (rule_of(entry->name, choice)->keeps_orthonormal()) {
          CHECK(worst < 1e-6);  // one rounding of R to f32
        } else {
          CHECK(worst > 1e-3);  // it lets R go, or near the manifold alone: no --joint
        }
      }
    }
  }
}

TEST_CASE("Ten thousand steps of Riemannian Adam in f32 leave R orthonormal to one rounding, by every retraction") {
  const Tensor gradients = noise(20, 96, 1, DType::f32);  // ten gradients in turn
  for (const json& choice : manifold_choices("riemannian_adam")) {
    CAPTURE(choice.dump());
    const Tensor R = random_stiefel(2, 96, 2, 1, 0);
    Optimizer optimizer = optimizer_of(R, 2, rule_of("riemannian_adam", choice));
    for (std::int64_t t = 0; t < 10000; ++t) step(optimizer, gradients.slice(2 * (t % 10), 2 * (t % 10) + 2), 0.01);
    CHECK(orthonormality_error(R, 2) < 1e-6);
  }
}

TEST_CASE("Steps at the rank and the width of large models leave R orthonormal on the test device") {
  for (const json& choice : manifold_choices("riemannian_adam")) {
    for (const std::int64_t block_rows : {4, 16}) {
      CAPTURE(choice.dump());
      CAPTURE(block_rows);
      const Tensor R = on_test_device(random_stiefel(16, 4096, block_rows, 1, 0));
      const Tensor G = on_test_device(noise(16, 4096, 1, DType::f32));
      Optimizer optimizer = optimizer_of(R, block_rows, rule_of("riemannian_adam", choice));
      for (int t = 0; t < 5; ++t) step(optimizer, G, 0.1);
      CHECK(orthonormality_error(R, block_rows) < 1e-6);
    }
  }
}

TEST_CASE("The optimizers that keep R orthonormal find the solution of a Procrustes problem") {
  const Procrustes problem;
  const std::int64_t d = problem.d;
  for (const std::string_view name : {"riemannian_adam", "riemannian_sgd", "landing"}) {
    for (json choice : manifold_choices(name)) {
      CAPTURE(name);
      CAPTURE(choice.dump());
      if (name == "riemannian_sgd") choice["momentum"] = 0.5;
      // A start in the solution's component: square orthogonal matrices fall into two, by determinant.
      const Tensor R =
          tensor(test::reference_retraction("polar", matrix(problem.start_of_B), 0.2 * matrix(noise(d, d, 7))));
      Optimizer optimizer = optimizer_of(R, d, rule_of(name, choice));
      for (int t = 0; t < 600; ++t) step(optimizer, problem.derivatives(R), 0.2 * (1.0 - t / 600.0));
      // Adam's last steps are of about lr / 600, and its moments remember longer ones.
      CHECK(largest(matrix(R) - problem.solution()) < (name == "riemannian_adam" ? 1e-3 : 1e-10));
    }
  }
}

TEST_CASE("Landing stays within its safe distance however large the gradient and the rate, and lands as they vanish") {
  const Tensor R = on_test_device(random_stiefel(6, 24, 3, 1, 0));
  Optimizer optimizer = optimizer_of(R, 3, rule_of("landing"));
  double worst = 0;
  for (std::uint64_t t = 0; t < 100; ++t) {
    const double scale = std::pow(10.0, static_cast<double>(t % 7) - 2.0);
    step(optimizer, on_test_device(ops::scale(noise(6, 24, t, DType::f32), scale)), 10.0);
    worst = std::max(worst, orthonormality_error(R, 3));
  }
  CHECK(worst < 0.5 + 1e-5);  // f32 rounding of a few products
  CHECK(worst > 0.1);         // the bound was needed
  for (int t = 0; t < 100; ++t) step(optimizer, Tensor::zeros(R.shape(), R.options()), 0.4);
  CHECK(orthonormality_error(R, 3) < 1e-6);
}

TEST_CASE("Steps do not depend on the number of threads, for separate blocks or a joint one") {
  const std::int64_t d = 3000;  // enough for a team of threads
  const int before = omp_get_max_threads();
  for (const auto* entry : optimizer_rules()) {
    for (const std::int64_t block_rows : {4, 16}) {
      CAPTURE(entry->name);
      CAPTURE(block_rows);
      std::vector<Tensor> results;
      for (const int threads : {1, 2, 3}) {
        omp_set_num_threads(threads);
        results.push_back(random_stiefel(16, d, block_rows, 1, 0));
        Optimizer optimizer = optimizer_of(results.back(), block_rows, rule_of(entry->name));
        for (std::uint64_t t = 0; t < 3; ++t) step(optimizer, noise(16, d, t, DType::f32), 0.1);
      }
      omp_set_num_threads(before);
      CHECK(same_bits(results[0], results[1]));
      CHECK(same_bits(results[0], results[2]));
    }
  }
}

TEST_CASE("Blocks of a stack move as they would alone, with every optimizer of the table") {
  for (const auto* entry : optimizer_rules()) {
    CAPTURE(entry->name);
    const Tensor R = random_stiefel(8, 64, 2, 1, 0), alone = R.slice(2, 4).clone();
    Optimizer all = optimizer_of(R, 2, rule_of(entry->name)), one = optimizer_of(alone, 2, rule_of(entry->name));
    for (std::uint64_t t = 0; t < 3; ++t) {
      const Tensor G = noise(8, 64, t, DType::f32);
      step(all, G, 0.1);
      step(one, G.slice(2, 4), 0.1);
    }
    CHECK(same_bits(alone, R.slice(2, 4)));
  }
}

TEST_CASE("Zero and huge gradients, one row and square matrices stay on the manifold") {
  struct Size {
    std::int64_t r, d;
  };
  for (const char* name : {"riemannian_adam", "riemannian_sgd", "sgd"}) {
    for (const json& choice : manifold_choices(name)) {
      for (const Size size : {Size{1, 8}, Size{4, 4}, Size{3, 8}, Size{1, 1}}) {
        CAPTURE(name);
        CAPTURE(choice.dump());
        CAPTURE(size.r);
        CAPTURE(size.d);
        const Tensor start = random_stiefel(size.r, size.d, size.r, 1, 0), R = start.clone();
        Optimizer optimizer = optimizer_of(R, size.r, rule_of(name, choice));
        step(optimizer, Tensor::zeros({size.r, size.d}), 0.1);
        CHECK(test::distance(R, start) < 1e-6);  // one rounding to f32
        for (const double scale : {1e15, 1.0, 1e-15}) {
          step(optimizer, random_normal({size.r, size.d}, 0.0, scale, 1, 1), 0.1);
          CHECK(orthonormality_error(R, size.r) < 1e-6);
        }
      }
    }
  }
}

TEST_CASE("Options of optimizers that are out of range or unknown are refused in one line") {
  CHECK(refusal("riemannian_adam", {{"beta2", 1.0}}) == "--beta2 1 is not possible: expected a number between 0 and 1");
  CHECK(refusal("riemannian_sgd", {{"momentum", 1.0}}) ==
        "--momentum 1 is not possible: expected 0 or more and less than 1");
  CHECK(refusal("sgd", {{"weight_decay", -1.0}}) ==
        "--weight-decay -1 is not possible: expected a number of 0 or more");
  CHECK(refusal("adamw", {{"stiefel_lr", -1.0}}) == "--stiefel-lr -1 is not possible: expected a number of 0 or more");
  CHECK(refusal("adamw+qr", {{"orthonormalise_every", 0}}) ==
        "--orthonormalise-every 0 is not possible: expected 1 or more");
  CHECK(refusal("landing", {{"landing_lambda", 0.0}}) ==
        "--landing-lambda 0 is not possible: expected a number more than 0");
  CHECK(refusal("riemannian_adam", {{"metric", "cannonical"}}) ==
        "unknown metric 'cannonical' (did you mean canonical?): expected one of euclidean, canonical");
  CHECK(refusal("riemannian_sgd", {{"retraction", "qf"}})
            .starts_with("unknown retraction 'qf' (did you mean qr?): expected one of qr, polar, cayley"));
  // What an optimizer does not read is not one of its options.
  CHECK(refusal("landing", {{"retraction", "qr"}}).starts_with("option 'retraction' is unknown"));
  CHECK(refusal("sgd", {{"beta2", 0.9}}).starts_with("option 'beta2' is unknown"));
  CHECK_THROWS_WITH_AS(choose_optimizer("adam"),
                       doctest::Contains("unknown optimizer 'adam' (did you mean adamw?): expected one of "
                                         "riemannian_adam, riemannian_sgd, adamw+qr, adamw, sgd, landing"),
                       Error);
}
