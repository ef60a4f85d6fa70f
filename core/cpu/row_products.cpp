#include "core/cpu/row_products.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/cpu/integer_rows.h"
#include "core/cpu/parallel.h"
#include "core/cpu/row_forms.h"

namespace csreft::cpu {
namespace {

// x [n, in] in the order in which a form decodes, and y [n, out].
struct FewRows {
  const float* x;
  float* y;
  std::int64_t n, in, out;
};

// y[i, o] for all n rows of x and the row o of W, which starts at `row`.
template <typename Form, std::size_t n>
void multiply_row(const std::byte* row, const FewRows& f, std::int64_t o) {
  // Few rows have several sums each, so that an addition need not wait for the one before.
  constexpr std::size_t sets = n == 1 ? 4 : n <= 4 ? 2 : 1;
  std::array<std::array<Floats, sets>, n> sums{};
  const std::int64_t whole = f.in / step * step;
  for (std::int64_t j = 0; j < whole; j += step) {
    const Step w = Form::decode(row, j);
    for (std::size_t i = 0; i < n; ++i) {
      const float* x = f.x + static_cast<std::int64_t>(i) * f.in + j;
      for (std::size_t v = 0; v < w.size(); ++v) sums[i][v % sets] += w[v] * load<Floats>(x + lanes * v);
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t set = 1; set < sets; ++set) sums[i][0] += sums[i][set];
    float total = sum_of(sums[i][0]);
    const auto at = static_cast<std::int64_t>(i);
    if constexpr (requires { Form::element(row, whole); }) {
      for (std::int64_t l = whole; l < f.in; ++l) total += Form::element(row, l) * f.x[at * f.in + l];
    }
    f.y[at * f.out + o] = total;
  }
}

// Rows of x are taken in groups of up to eight, each by all rows of a piece of W in turn: both stay in the caches.
template <typename Form>
void multiply_all(const std::byte* rows, std::int64_t row_bytes, const FewRows& f) {
  using MultiplyRow = void (*)(const std::byte*, const FewRows&, std::int64_t);
  constexpr MultiplyRow by_rows[] = {multiply_row<Form, 1>, multiply_row<Form, 2>, multiply_row<Form, 3>,
                                     multiply_row<Form, 4>, multiply_row<Form, 5>, multiply_row<Form, 6>,
                                     multiply_row<Form, 7>, multiply_row<Form, 8>};
  constexpr std::int64_t most = std::ssize(by_rows);
  const std::int64_t size = std::max<std::int64_t>(1, piece_size / std::max<std::int64_t>(1, f.in));
  for_each_piece(f.out, size, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = 0; i < f.n; i += most) {
      const FewRows group{f.x + i * f.in, f.y + i * f.out, std::min(most, f.n - i), f.in, f.out};
      for (std::int64_t o = begin; o < end; ++o) by_rows[group.n - 1](rows + o * row_bytes, group, o);
    }
  });
}

// Each block of x in the order of a form's vectors.
template <typename Form>
Tensor in_order_of(const Tensor& x) {
  const Tensor y = Tensor::empty(x.shape());
  const float* from = x.data<float>();
  float* to = y.data<float>();
  for_elements(x.numel(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; block += step) {
      for (std::int64_t at = 0; at < step; ++at) to[block + at] = from[block + Form::element_at(at)];
    }
  });
  return y;
}

#ifdef CSREFT_HAS_INTEGER_ROWS
// y = W x for one row of x, in whole numbers.
template <typename Form>
void multiply_integers(const Tensor& x, const StoredMatrix& w, const Tensor& y) {
  const std::int64_t in = x.cols();
  const IntegerRow row(x.data<const float>(), in);
  const std::byte* rows = w.bytes().data();
  float* to = y.data<float>();
  for_rows(w.rows(), in, [&](std::int64_t o) { to[o] = integer_dot<Form>(rows + o * w.row_bytes(), row, in); });
}
#endif

template <typename Form>
void multiply(const Tensor& x, const StoredMatrix& w, const Tensor& y) {
  if (x.rows() == 0) return;
#ifdef CSREFT_HAS_INTEGER_ROWS
  if constexpr (HasIntegers<Form>) {
    if (x.rows() == 1) return multiply_integers<Form>(x, w, y);
  }
#endif
  const auto multiply_rows = [&](const Tensor& rows) {
    multiply_all<Form>(w.bytes().data(), w.row_bytes(),
                       {rows.data<const float>(), y.data<float>(), x.rows(), x.cols(), w.rows()});
  };
  if constexpr (requires { Form::element_at(0); }) {
    multiply_rows(in_order_of<Form>(x));
  } else {
    multiply_rows(x);
  }
}

}  // namespace

bool has_row_products(RowForm form) { return form != RowForm::other; }

void multiply_stored_rows(const Tensor& x, const StoredMatrix& w, const Tensor& y) {
  switch (w.encoding().form) {
    case RowForm::bf16: return multiply<Bf16Form>(x, w, y);
    case RowForm::f16: return multiply<F16Form>(x, w, y);
    case RowForm::q4_0: return multiply<Q40Form>(x, w, y);
    case RowForm::q4_1: return multiply<Q41Form>(x, w, y);
    case RowForm::q8_0: return multiply<Q80Form>(x, w, y);
    case RowForm::q4_k: return multiply<Q4KForm>(x, w, y);
    case RowForm::q5_k: return multiply<Q5KForm>(x, w, y);
    case RowForm::q6_k: return multiply<Q6KForm>(x, w, y);
    case RowForm::other: break;
  }
  fail("rows of {} are not multiplied as they are: expected them decoded", w.encoding().name);
}

}  // namespace csreft::cpu
