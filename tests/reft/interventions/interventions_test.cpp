// Every formula against sums written out, its gradients, its start, and its stack.
#include <algorithm>
#include <array>
#include <cmath>

#include <doctest/doctest.h>

#include "autograd/gradcheck.h"
#include "core/tensor/random.h"
#include "reft/interventions/intervention.h"
#include "reft/stiefel/stiefel.h"
#include "tests/compare.h"
#include "tests/error_text.h"
#include "tests/tiny_model.h"

using csreft::DType;
using csreft::EditRows;
using csreft::Intervention;
using csreft::Tensor;
using csreft::Variable;
namespace ops = csreft::ops;

namespace {

// Two orders of the same sums in f64, on values of order 1.
constexpr double rounding = 1e-12;
constexpr std::int64_t d = 8, r = 3, n = 6;

Tensor normal(csreft::Shape shape, std::uint64_t stream) {
  return csreft::random_normal(shape, 0.0, 1.0, 21, stream, DType::f64);
}

EditRows some_rows() { return {csreft::index_tensor(TokenIds{1, 2, 5}), csreft::index_tensor(TokenIds{0, 0, 1})}; }

// Values that are none of the starting values, so that no term vanishes; `rows` in place of the rank.
std::vector<Variable> random_values(const Intervention& intervention, std::int64_t rows = r) {
  std::vector<Variable> values;
  for (const auto& p : intervention.parameters) {
    const csreft::Shape shape = p.extent == csreft::Extent::rank_by_hidden ? csreft::Shape{rows, d}
                                : p.extent == csreft::Extent::rank         ? csreft::Shape{rows}
                                                                           : csreft::Shape{d};
    values.push_back(Variable::parameter(normal(shape, values.size() + 1)));
  }
  return values;
}

std::vector<Variable> starting_values(const Intervention& intervention, bool identity = true) {
  std::vector<Variable> values;
  const csreft::InterventionShape shape{.hidden = d, .rank = r};
  for (const auto& p : csreft::make_intervention_parameters(intervention, "0.t", shape, identity, 5, 0, DType::f64)) {
    values.push_back(p.value);
  }
  return values;
}

Tensor value_of(const Intervention& intervention, const std::vector<Variable>& values, std::string_view name) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (intervention.parameters[i].name == name) return values[i].value();
  }
  return {};
}

// u = W h, one number.
double dot(const Tensor& W, std::int64_t row, const double* h) {
  double sum = 0.0;
  for (std::int64_t j = 0; j < d; ++j) sum += W.data<double>()[row * d + j] * h[j];
  return sum;
}

// The published formulas, which are also written out here.
constexpr std::array<std::string_view, 7> published{"loreft", "noreft",   "consreft", "lobireft",
                                                    "direft", "nodireft", "red"};

// A published formula at one row, as the papers write it.
std::vector<double> edited_row(const Intervention& intervention, const std::vector<Variable>& values, const double* h) {
  const Tensor W = value_of(intervention, values, "W"), b = value_of(intervention, values, "b");
  const Tensor R = intervention.name == "noreft" || intervention.name == "nodireft"
                       ? value_of(intervention, values, "V")
                       : value_of(intervention, values, "R");
  std::vector<double> out(h, h + d);
  if (intervention.name == "red") {
    const Tensor s = value_of(intervention, values, "s");
    for (std::int64_t j = 0; j < d; ++j)
      out[static_cast<std::size_t>(j)] = s.data<double>()[j] * h[j] + b.data<double>()[j];
    return out;
  }
  const bool minus_old =
      intervention.name == "loreft" || intervention.name == "noreft" || intervention.name == "consreft";
  for (std::int64_t i = 0; i < r; ++i) {
    const double u = (W.defined() ? dot(W, i, h) : 0.0) + b.data<double>()[i] - (minus_old ? dot(R, i, h) : 0.0);
    for (std::int64_t j = 0; j < d; ++j) out[static_cast<std::size_t>(j)] += R.data<double>()[i * d + j] * u;
  }
  return out;
}

Variable apply(const Intervention& intervention, const Variable& hidden, const EditRows& rows,
               csreft::InterventionValues values, const Variable& alpha = {}) {
  return intervention.apply({hidden, rows, values, alpha, csreft::find_activation("linear")});
}

}  // namespace

TEST_CASE("the published formulas edit their rows as written") {
  for (const auto name : published) {
    CAPTURE(name);
    const Intervention& intervention = csreft::find_intervention(name);
    const auto values = random_values(intervention);
    const Tensor hidden = normal({n, d}, 0);
    const Tensor expected = hidden.clone();
    for (const auto row : {1, 2, 5}) {
      const auto edited = edited_row(intervention, values, hidden.data<double>() + row * d);
      std::copy(edited.begin(), edited.end(), expected.data<double>() + row * d);
    }
    const Variable got = apply(intervention, Variable(hidden), some_rows(), values);
    CHECK(largest_difference(got.value(), expected) < rounding);
  }
}

TEST_CASE("every formula edits its own rows and no other") {
  const Tensor hidden = normal({n, d}, 0);
  for (const auto* intervention : csreft::interventions()) {
    CAPTURE(intervention->name);
    const Tensor edited = apply(*intervention, Variable(hidden), some_rows(), random_values(*intervention)).value();
    for (const std::int64_t row : {0, 1, 2, 3, 4, 5}) {
      const double change = largest_difference(edited.slice(row, row + 1), hidden.slice(row, row + 1));
      CHECK((change == 0.0) == (row == 0 || row == 3 || row == 4));
    }
  }
}

TEST_CASE("every formula has right gradients, with gates where it has subspaces") {
  for (const auto* intervention : csreft::interventions()) {
    CAPTURE(intervention->name);
    for (const bool gated : {false, true}) {
      if (gated && !csreft::has_rank(*intervention)) continue;
      CAPTURE(gated);
      const Variable hidden = Variable::parameter(normal({n, d}, 0));
      const Variable alpha = gated ? Variable::parameter(normal({2, 2}, 9)) : Variable();
      const auto values = random_values(*intervention, gated ? 2 * r : r);
      std::vector<Variable> inputs = values;
      inputs.push_back(hidden);
      if (gated) inputs.push_back(alpha);
      const auto result =
          csreft::gradcheck([&] { return apply(*intervention, hidden, some_rows(), values, alpha); }, inputs);
      CHECK_MESSAGE(result.passed, result.str());
    }
  }
}

TEST_CASE("a new edit is the identity where the formula says so") {
  const Tensor hidden = normal({n, d}, 0);
  for (const auto* intervention : csreft::interventions()) {
    CAPTURE(intervention->name);
    const auto values = starting_values(*intervention);
    const Tensor edited = apply(*intervention, Variable(hidden), some_rows(), values).value();
    CHECK((largest_difference(edited, hidden) < rounding) == intervention->has_identity);
  }
}

TEST_CASE("consreft starts by removing what the hidden states have in its subspace") {
  const auto& consreft = csreft::find_intervention("consreft");
  const auto values = starting_values(consreft);
  const Tensor edited = apply(consreft, Variable(normal({n, d}, 0)), some_rows(), values).value();
  const Tensor left = ops::matmul(ops::gather_rows(edited, some_rows().index), value_of(consreft, values, "R"),
                                  ops::Transpose::no, ops::Transpose::yes);
  CHECK(largest_element(left) < rounding);
}

TEST_CASE("stacked subspaces in one pass are the sum of their edits, each times its gate") {
  constexpr std::int64_t k = 3;
  const Tensor hidden = normal({n, d}, 0);
  const Tensor alpha = csreft::random_uniform({2, k}, 0.0, 1.0, 4, 0, DType::f64);
  const EditRows rows = some_rows();
  for (const auto* intervention : csreft::interventions()) {
    if (!csreft::has_rank(*intervention)) continue;
    CAPTURE(intervention->name);
    const auto stack = random_values(*intervention, k * r);
    const Tensor together = apply(*intervention, Variable(hidden), rows, stack, Variable(alpha)).value();

    const Tensor sum = hidden.clone();
    for (std::int64_t i = 0; i < k; ++i) {
      std::vector<Variable> block;
      for (const auto& value : stack) block.emplace_back(value.value().slice(i * r, (i + 1) * r));
      const Tensor change = ops::sub(apply(*intervention, Variable(hidden), rows, block).value(), hidden);
      for (std::int64_t at = 0; at < 3; ++at) {
        const auto row = rows.index.entries().span<std::int32_t>()[static_cast<std::size_t>(at)];
        const auto example = rows.example.entries().span<std::int32_t>()[static_cast<std::size_t>(at)];
        ops::axpy_(sum.slice(row, row + 1), alpha.data<double>()[example * k + i], change.slice(row, row + 1));
      }
    }
    CHECK(largest_difference(together, sum) < rounding);
  }
}

TEST_CASE("a formula without subspaces refuses gates") {
  const auto& red = csreft::find_intervention("red");
  const auto values = random_values(red);
  CHECK(contains(error_text([&] {
                   return apply(red, Variable(normal({n, d}, 0)), some_rows(), values, Variable(normal({2, 2}, 1)));
                 }),
                 "red has no subspaces to gate"));
}

TEST_CASE("orthonormal parameters start so, block by block or as one, and say on which manifold they live") {
  const auto& loreft = csreft::find_intervention("loreft");
  for (const bool joint : {false, true}) {
    const auto made = csreft::make_intervention_parameters(
        loreft, "7.t", {.hidden = 12, .rank = 2, .blocks = 3, .joint = joint}, /*identity=*/true, 1, 0, DType::f64);
    REQUIRE(made.size() == 3);
    CHECK(made[0].name == "7.t.R");
    CHECK(made[1].name == "7.t.W");
    CHECK(made[2].name == "7.t.b");
    CHECK(made[0].value.shape() == csreft::Shape{6, 12});
    CHECK(made[2].value.shape() == csreft::Shape{6});
    CHECK(made[0].manifold == csreft::ParameterManifold::stiefel);
    CHECK(made[1].manifold == csreft::ParameterManifold::euclidean);
    CHECK(made[0].block_rows == (joint ? 6 : 2));
    CHECK(csreft::orthonormality_error(made[0].value.value(), made[0].block_rows) < rounding);
    CHECK((csreft::orthonormality_error(made[0].value.value(), 6) < rounding) == joint);
    // W starts as R but is another tensor.
    CHECK(largest_difference(made[0].value.value(), made[1].value.value()) == 0.0);
    CHECK_FALSE(made[0].value.value().shares_storage_with(made[1].value.value()));
  }
  // The formulas without the constraint.
  const auto free =
      csreft::make_intervention_parameters(csreft::find_intervention("noreft"), "0.f", {.hidden = 12, .rank = 2},
                                           /*identity=*/true, 1, 0, DType::f64);
  CHECK(free[0].name == "0.f.V");
  CHECK(free[0].manifold == csreft::ParameterManifold::euclidean);
}

TEST_CASE("as published, W and b start as torch's Linear draws them, and constants uniform in [0, 1)") {
  constexpr std::int64_t hidden = 400, rank = 60;
  const double bound = 1.0 / 20.0;
  const auto made = [&](std::string_view name) {
    return csreft::make_intervention_parameters(csreft::find_intervention(name), "0.t",
                                                {.hidden = hidden, .rank = rank}, /*identity=*/false, 3, 0, DType::f64);
  };
  const auto check_uniform = [](const Tensor& t, double low, double high) {
    const auto x = t.span<double>();
    CHECK(std::ranges::min(x) >= low);
    CHECK(std::ranges::max(x) <= high);
    const double middle = (low + high) / 2.0, width = high - low;
    // Four deviations of the mean of so many draws.
    CHECK(std::abs(ops::sum(t).item() / static_cast<double>(x.size()) - middle) <
          4.0 * width / std::sqrt(12.0 * static_cast<double>(x.size())));
    CHECK(std::ranges::max(x) - std::ranges::min(x) > 0.9 * width);
  };
  for (const auto* name : {"loreft", "noreft", "direft", "nodireft"}) {
    CAPTURE(name);
    const auto parameters = made(name);
    check_uniform(parameters[1].value.value(), -bound, bound);
    check_uniform(parameters[2].value.value(), -bound, bound);
  }
  check_uniform(made("noreft")[0].value.value(), -bound, bound);
  CHECK(csreft::orthonormality_error(made("loreft")[0].value.value(), rank) < rounding);
  check_uniform(made("consreft")[1].value.value(), 0.0, 1.0);
  check_uniform(made("lobireft")[1].value.value(), 0.0, 1.0);
  const auto red = made("red");
  CHECK(largest_difference(red[0].value.value(), Tensor::full({hidden}, 1.0, DType::f64)) == 0.0);
  CHECK(largest_element(red[1].value.value()) == 0.0);
  // W of one place is not R's or another place's.
  const auto other = csreft::make_intervention_parameters(csreft::find_intervention("loreft"), "1.t",
                                                          {.hidden = hidden, .rank = rank}, false, 3, 1, DType::f64);
  CHECK(largest_difference(other[1].value.value(), made("loreft")[1].value.value()) > 0.01);
}

TEST_CASE("an unknown formula is refused with the known ones") {
  const auto text = error_text([] { return csreft::find_intervention("loreff").name; });
  CHECK(contains(text, "'loreff'"));
  CHECK(contains(text, "loreft"));
  CHECK(contains(text, "nodireft"));
}
