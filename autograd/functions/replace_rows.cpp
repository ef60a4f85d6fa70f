#include "autograd/functions/functions.h"

namespace csreft {

// y = hidden, y[index[i]] = values[i];  dhidden = dy with zeros at the rows that index names, dvalues[i] = dy[index[i]]
Variable replace_rows(const Variable& hidden, const RowIndex& index, const Variable& values) {
  require(index.distinct(), "replace_rows: index names row {} twice, expected each row once", index.repeated());
  const Tensor y = hidden.value().clone();
  ops::scatter_rows_(y, index, values.value());
  return record("replace_rows", y, {hidden, values}, [index](BackwardPass& pass) {
    if (pass.needs(0)) {
      const Tensor dhidden = pass.dy.clone();
      ops::scatter_rows_(dhidden, index, Tensor::zeros({index.size(), dhidden.cols()}, dhidden.options()));
      pass.add(0, dhidden);
    }
    if (pass.needs(1)) pass.add(1, ops::gather_rows(pass.dy, index));
  });
}

}  // namespace csreft
