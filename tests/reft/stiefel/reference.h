// The Stiefel manifold and its optimizers by their definitions, of one point [r, d] in f64 on the host, with Eigen and
// without any of the project's primitives: what they are compared with.
#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

#include "reft/matrix_view.h"
#include "reft/stiefel/optimizers/optimizer_rule.h"

namespace csreft::test {

// Of the metric "euclidean" or "canonical".
Matrix reference_gradient(std::string_view metric, const Matrix& R, const Matrix& G);
double reference_inner(std::string_view metric, const Matrix& R, const Matrix& u, const Matrix& v);
// "qr": Gram and Schmidt's way; "polar": by singular values; "cayley": by d x d matrices.
Matrix reference_retraction(std::string_view retraction, const Matrix& R, const Matrix& xi);

// One point and what an optimizer remembers of it.
struct ReferencePoint {
  Matrix R;
  Matrix m = Matrix::Zero(R.rows(), R.cols());
  Matrix v = Matrix::Zero(R.rows(), R.cols());  // of AdamW
  double v_of_point = 0;                        // of Riemannian Adam
  int step = 0;
};
// A step of the optimizer of that name, with all its options (options_json). Throws Error for one without a reference.
void reference_step(std::string_view optimizer, const nlohmann::json& options, double lr, const Matrix& G,
                    ReferencePoint& point);

}  // namespace csreft::test
