#include "autograd/functions/functions.h"
#include "core/ops/checks.h"

namespace csreft {

// y = hidden, y[index[i]] = values[i];  dhidden = dy with zeros at the rows that index names, dvalues[i] = dy[index[i]]
Variable replace_rows(const Variable& hidden, const Tensor& index, const Variable& values) {
  const Tensor y = hidden.value().clone();
  ops::scatter_rows_(y, index, values.value());
  checks::each_once("replace_rows", "index", index, y.rows());
  return record("replace_rows", y, {hidden, values}, [index](BackwardPass& pass) {
    if (pass.needs(0)) {
      const Tensor dhidden = pass.dy.clone();
      ops::scatter_rows_(dhidden, index, Tensor::zeros({index.numel(), dhidden.cols()}, dhidden.options()));
      pass.add(0, dhidden);
    }
    if (pass.needs(1)) pass.add(1, ops::gather_rows(pass.dy, index));
  });
}

}  // namespace csreft
