// A gradcheck in f64 of every function, at random shapes and at the edges of what it accepts, on the test device.
// Tolerances are gradcheck's own: 1e-8 + 1e-6 of the derivative.
#include "autograd/functions/functions.h"

#include <fstream>
#include <functional>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "autograd/gradcheck.h"
#include "core/tensor/random.h"
#include "models/llama/token_batch.h"
#include "tests/device.h"
#include "tests/source.h"

using csreft::DType;
using csreft::EditRows;
using csreft::PackedMatrix;
using csreft::Shape;
using csreft::Tensor;
using csreft::Variable;

namespace {

using Inputs = std::span<const Variable>;

struct Case {
  std::string_view function;  // as functions.h declares it
  std::string_view at;
  std::function<Variable(Inputs)> apply;
  std::vector<Tensor> inputs;
};

Tensor normal(Shape shape, std::uint64_t stream = 0) {
  return csreft::random_normal(shape, 0.0, 1.0, 11, stream, {DType::f64, test_device()});
}

Tensor uniform(Shape shape, double low, double high) {
  return csreft::random_uniform(shape, low, high, 12, 0, {DType::f64, test_device()});
}

// No element nearer to zero than 0.1: no step of a difference crosses a kink there.
Tensor away_from_zero(Shape shape) {
  const Tensor x = normal(shape).to(csreft::Device{});
  for (double& v : x.span<double>()) v += v < 0.0 ? -0.1 : 0.1;
  return on_test_device(x);
}

Tensor indices(std::vector<std::int32_t> values) { return csreft::index_tensor(values); }

std::vector<Case> elementwise_cases() {
  const auto add = [](Inputs x) { return csreft::add(x[0], x[1]); };
  const auto sub = [](Inputs x) { return csreft::sub(x[0], x[1]); };
  const auto mul = [](Inputs x) { return csreft::mul(x[0], x[1]); };
  const auto silu_mul = [](Inputs x) { return csreft::silu_mul(x[0], x[1]); };
  const auto relu = [](Inputs x) { return csreft::relu(x[0]); };
  const auto sigmoid = [](Inputs x) { return csreft::sigmoid(x[0]); };
  const auto silu = [](Inputs x) { return csreft::silu(x[0]); };
  const auto tanh = [](Inputs x) { return csreft::tanh(x[0]); };
  const auto gelu = [](Inputs x) { return csreft::gelu(x[0]); };
  const auto entropy = [](Inputs x) { return csreft::binary_entropy(x[0]); };
  const auto straight_through = [](Inputs x) {
    const Variable soft = csreft::mul(x[0], x[0]);
    return csreft::straight_through(soft.value(), soft);
  };
  return {
      {"add", "[3, 4]", add, {normal({3, 4}), normal({3, 4}, 1)}},
      {"add", "[1]", add, {normal({1}), normal({1}, 1)}},
      {"add", "[2, 1, 3, 2]", add, {normal({2, 1, 3, 2}), normal({2, 1, 3, 2}, 1)}},
      {"add", "an input to itself", [](Inputs x) { return csreft::add(x[0], x[0]); }, {normal({3})}},
      {"sub", "[3, 4]", sub, {normal({3, 4}), normal({3, 4}, 1)}},
      {"sub", "an input from itself", [](Inputs x) { return csreft::sub(x[0], x[0]); }, {normal({3})}},
      {"mul", "[3, 4]", mul, {normal({3, 4}), normal({3, 4}, 1)}},
      {"mul", "an input by itself", [](Inputs x) { return csreft::mul(x[0], x[0]); }, {normal({5})}},
      {"mul", "a constant", [](Inputs x) { return csreft::mul(Variable(normal({5}, 1)), x[0]); }, {normal({5})}},
      {"scale", "by -2.5", [](Inputs x) { return csreft::scale(x[0], -2.5); }, {normal({4, 2})}},
      {"scale", "by 0", [](Inputs x) { return csreft::scale(x[0], 0.0); }, {normal({4})}},
      {"relu", "[5, 3]", relu, {away_from_zero({5, 3})}},
      {"relu", "all below zero", relu, {Tensor::full({3}, -1.0, {DType::f64, test_device()})}},
      {"sigmoid", "[5, 3]", sigmoid, {normal({5, 3})}},
      {"sigmoid", "far from zero", sigmoid, {uniform({9}, -30.0, 30.0)}},
      {"silu", "[5, 3]", silu, {normal({5, 3})}},
      {"silu", "far from zero", silu, {uniform({9}, -30.0, 30.0)}},
      {"tanh", "[5, 3]", tanh, {normal({5, 3})}},
      {"tanh", "far from zero", tanh, {uniform({9}, -15.0, 15.0)}},
      {"gelu", "[5, 3]", gelu, {normal({5, 3})}},
      {"gelu", "far from zero", gelu, {uniform({9}, -15.0, 15.0)}},
      {"binary_entropy", "[4, 3]", entropy, {uniform({4, 3}, 0.05, 0.95)}},
      {"binary_entropy", "near 0", entropy, {uniform({4}, 1e-3, 2e-3)}},
      {"binary_entropy", "near 1", entropy, {uniform({4}, 0.998, 0.999)}},
      {"xlogx", "[4, 3]", [](Inputs x) { return csreft::xlogx(x[0]); }, {uniform({4, 3}, 0.05, 2.0)}},
      {"xlogx", "near 0", [](Inputs x) { return csreft::xlogx(x[0]); }, {uniform({4}, 1e-3, 2e-3)}},
      // With the value of its soft path, so that there is a derivative to compare with.
      {"straight_through", "its soft path", straight_through, {normal({3, 4})}},
      {"dropout", "[5, 4]", [](Inputs x) { return csreft::dropout(x[0], 0.4, 1, 2); }, {normal({5, 4})}},
      {"dropout", "of nothing", [](Inputs x) { return csreft::dropout(x[0], 0.0, 1, 2); }, {normal({3})}},
      {"silu_mul", "[3, 7]", silu_mul, {normal({3, 7}), normal({3, 7}, 1)}},
      {"silu_mul", "[1, 1]", silu_mul, {normal({1, 1}), normal({1, 1}, 1)}},
      {"silu_mul", "far from zero", silu_mul, {uniform({2, 9}, -20.0, 20.0), normal({2, 9}, 1)}},
  };
}

std::vector<Case> row_cases() {
  const auto sum = [](Inputs x) { return csreft::sum(x[0]); };
  const auto add_row = [](Inputs x) { return csreft::add_row(x[0], x[1]); };
  const auto softmax = [](Inputs x) { return csreft::softmax(x[0]); };
  const auto gather = [](const Tensor& index) {
    return [index](Inputs x) { return csreft::gather_rows(x[0], index); };
  };
  const auto mean = [](const Tensor& offsets) {
    return [offsets](Inputs x) { return csreft::segment_mean(x[0], offsets); };
  };
  const auto add_at = [](const Tensor& index) {
    return [index](Inputs x) { return csreft::add_at_rows(x[0], index, x[1]); };
  };
  const auto add_at_itself = [](Inputs x) { return csreft::add_at_rows(x[0], indices({2, 0, 1}), x[0]); };
  const auto replace = [](const Tensor& index) {
    return [index](Inputs x) { return csreft::replace_rows(x[0], index, x[1]); };
  };
  const auto replace_itself = [](Inputs x) { return csreft::replace_rows(x[0], indices({2, 0, 1}), x[0]); };
  return {
      {"sum", "[3, 4]", sum, {normal({3, 4})}},
      {"sum", "[1]", sum, {normal({1})}},
      {"sum", "[2, 3, 1, 2]", sum, {normal({2, 3, 1, 2})}},
      {"sum",
       "no elements",
       [](Inputs x) { return csreft::sum(csreft::gather_rows(x[0], indices({}))); },
       {normal({2, 2})}},
      {"abs_sum", "[5, 3]", [](Inputs x) { return csreft::abs_sum(x[0]); }, {away_from_zero({5, 3})}},
      {"abs_sum", "[1]", [](Inputs x) { return csreft::abs_sum(x[0]); }, {away_from_zero({1})}},
      {"add_row", "[4, 3]", add_row, {normal({4, 3}), normal({3}, 1)}},
      {"add_row", "one row", add_row, {normal({1, 5}), normal({5}, 1)}},
      {"softmax", "[4, 5]", softmax, {normal({4, 5})}},
      {"softmax", "one column", softmax, {normal({3, 1})}},
      {"softmax", "large numbers", softmax, {uniform({2, 3}, 500.0, 505.0)}},
      {"gather_rows", "with repetition", gather(indices({4, 0, 4, 4, 2})), {normal({6, 3})}},
      {"gather_rows", "one row of one", gather(indices({0})), {normal({1, 1})}},
      {"gather_rows", "no rows", gather(indices({})), {normal({3, 2})}},
      {"segment_mean", "of several lengths", mean(indices({0, 1, 4, 6})), {normal({6, 3})}},
      {"segment_mean", "with empty ones", mean(indices({0, 0, 2, 2, 5, 5})), {normal({5, 2})}},
      {"segment_mean", "one row", mean(indices({0, 1})), {normal({1, 4})}},
      {"add_at_rows", "some rows", add_at(indices({4, 0, 2})), {normal({6, 3}), normal({3, 3}, 1)}},
      {"add_at_rows", "every row", add_at(indices({1, 0})), {normal({2, 3}), normal({2, 3}, 1)}},
      {"add_at_rows", "one matrix as both", add_at_itself, {normal({3, 3})}},
      {"replace_rows", "some rows", replace(indices({4, 0, 2})), {normal({6, 3}), normal({3, 3}, 1)}},
      {"replace_rows", "one matrix as both", replace_itself, {normal({3, 3})}},
  };
}

std::vector<Case> linear_cases() {
  const auto both = [](Inputs x) { return csreft::linear(x[0], x[1]); };
  const PackedMatrix packed(normal({6, 5}, 2));
  // Their sum, so that x has a gradient by each and one beside them.
  const auto sum_of = [](const Variable& x, std::initializer_list<csreft::LinearWeight> weights) {
    Variable sum = x;
    for (const Variable& y : csreft::linears(x, weights)) sum = csreft::add(csreft::mul(y, y), sum);
    return sum;
  };
  const PackedMatrix square(normal({5, 5}, 3)), another(normal({5, 5}, 4));
  const auto overlaps = [](const std::vector<Tensor>& earlier) {
    return [earlier](Inputs x) { return csreft::orthogonality(x[0], earlier); };
  };
  return {
      // No overlap of these is nearer to zero than a step of a difference.
      {"orthogonality", "one earlier task", overlaps({normal({3, 5}, 1)}), {normal({2, 5})}},
      {"orthogonality", "several, of other ranks", overlaps({normal({3, 5}, 1), normal({1, 5}, 2)}), {normal({2, 5})}},
      {"linears",
       "all trained",
       [=](Inputs x) {
         return sum_of(x[0], {x[1], x[2], x[1]});
       },
       {normal({4, 5}), normal({5, 5}, 1), normal({5, 5}, 2)}},
      {"linears",
       "all packed",
       [=](Inputs x) {
         return sum_of(x[0], {square, another, square});
       },
       {normal({4, 5})}},
      {"linears",
       "one packed",
       [=](Inputs x) {
         return sum_of(x[0], {x[1], square});
       },
       {normal({4, 5}), normal({5, 5}, 1)}},
      {"linears",
       "constant x",
       [=](Inputs x) {
         return sum_of(Variable(normal({4, 5}, 5)), {square, x[0]});
       },
       {normal({5, 5})}},
      {"linear", "both trained", both, {normal({4, 5}), normal({6, 5}, 1)}},
      {"linear", "one row, one output", both, {normal({1, 3}), normal({1, 3}, 1)}},
      {"linear",
       "no rows",
       [](Inputs x) { return csreft::linear(csreft::gather_rows(x[0], indices({})), x[1]); },
       {normal({2, 3}), normal({4, 3}, 1)}},
      {"linear",
       "constant x",
       [](Inputs x) {
         return csreft::linear(Variable(normal({4, 5}, 1)), x[0]);
       },
       {normal({6, 5})}},
      {"linear",
       "constant W",
       [](Inputs x) {
         return csreft::linear(x[0], Variable(normal({6, 5}, 1)));
       },
       {normal({4, 5})}},
      {"linear", "packed W", [packed](Inputs x) { return csreft::linear(x[0], packed); }, {normal({4, 5})}},
      {"linear", "packed W, one row", [packed](Inputs x) { return csreft::linear(x[0], packed); }, {normal({1, 5})}},
  };
}

std::vector<Case> norm_and_rope_cases() {
  const auto norm = [](Inputs x) { return csreft::rms_norm(x[0], x[1], 1e-5); };
  // Both results are used, so that gradients come through the norm and beside it.
  const auto added = [](const Variable& a, const Variable& b, const Variable& weight) {
    const auto [sum, normed] = csreft::add_rms_norm(a, b, weight, 1e-5);
    return csreft::add(csreft::mul(sum, sum), normed);
  };
  const auto rope = [](const Tensor& positions, std::vector<double> frequencies) {
    const auto n = static_cast<std::int64_t>(frequencies.size());
    const Tensor inverse = Tensor::from(std::span<const double>(frequencies), {n});
    return [=](Inputs x) { return csreft::rope(x[0], positions, inverse); };
  };
  return {
      {"rms_norm", "[5, 8]", norm, {normal({5, 8}), normal({8}, 1)}},
      {"rms_norm", "one row", norm, {normal({1, 3}), normal({3}, 1)}},
      {"rms_norm", "one column", norm, {away_from_zero({3, 1}), normal({1}, 1)}},
      {"rms_norm",
       "eps that weighs",
       [](Inputs x) { return csreft::rms_norm(x[0], x[1], 0.5); },
       {normal({2, 6}), normal({6}, 1)}},
      {"rms_norm",
       "frozen weight",
       [](Inputs x) { return csreft::rms_norm(x[0], Variable(normal({6}, 1)), 1e-5); },
       {normal({2, 6})}},
      {"rms_norm",
       "beside what goes past it",
       [](Inputs x) { return csreft::add(x[0], csreft::rms_norm(x[0], x[1], 1e-5)); },
       {normal({4, 6}), normal({6}, 1)}},
      {"add_rms_norm",
       "[5, 8]",
       [added](Inputs x) { return added(x[0], x[1], x[2]); },
       {normal({5, 8}), normal({5, 8}, 1), normal({8}, 2)}},
      {"add_rms_norm",
       "one matrix twice",
       [added](Inputs x) { return added(x[0], x[0], x[1]); },
       {normal({3, 4}), normal({4}, 1)}},
      {"add_rms_norm",
       "the norm alone",
       [](Inputs x) { return csreft::add_rms_norm(x[0], x[1], x[2], 1e-5).norm; },
       {normal({3, 4}), normal({3, 4}, 1), normal({4}, 2)}},
      {"add_rms_norm",
       "the weight alone",
       [added](Inputs x) {
         return added(Variable(normal({3, 4})), Variable(normal({3, 4}, 1)), x[0]);
       },
       {normal({4}, 2)}},
      {"rope", "3 heads", rope(indices({0, 1, 7, 0, 30}), {1.0, 0.3, 0.01}), {normal({5, 18})}},
      {"rope", "one token, one head", rope(indices({9}), {1.0}), {normal({1, 2})}},
  };
}

// Self-attention within sequences of these lengths, or with `past` more keys in front of each.
csreft::ops::AttentionLayout layout_of(const std::vector<std::int32_t>& lengths, std::int32_t past = 0) {
  std::vector<std::int32_t> offsets{0}, starts, keys;
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    starts.push_back(offsets.back() + static_cast<std::int32_t>(s) * past);
    keys.push_back(lengths[s] + past);
    offsets.push_back(offsets.back() + lengths[s]);
  }
  return {indices(offsets), indices(starts), indices(keys)};
}

Case attention_case(std::string_view at, const std::vector<std::int32_t>& lengths, csreft::ops::AttentionHeads heads,
                    std::int32_t past = 0) {
  const auto layout = layout_of(lengths, past);
  const std::int64_t n = layout.q_offsets.span<std::int32_t>().back();
  const std::int64_t m = n + past * static_cast<std::int64_t>(lengths.size());
  const std::int64_t width = heads.n_kv_heads * heads.head_dim;
  return {"attention",
          at,
          [layout, heads](Inputs x) { return csreft::attention(x[0], x[1], x[2], layout, heads); },
          {normal({n, heads.n_heads * heads.head_dim}), normal({m, width}, 1), normal({m, width}, 2)}};
}

std::vector<Case> attention_cases() {
  return {
      attention_case("several sequences, grouped heads", {3, 1, 6}, {4, 2, 2}),
      attention_case("one token, one head", {1}, {1, 1, 4}),
      attention_case("one key/value head for all", {4, 2}, {3, 1, 2}),
      attention_case("as many key/value heads", {5}, {2, 2, 4}),
      attention_case("queries after a past", {2, 1, 3}, {4, 2, 2}, 4),
      attention_case("more than a tile", {3, 70}, {2, 1, 2}),
  };
}

Case head_case(std::string_view at, const std::vector<std::int32_t>& targets, std::int64_t chunk, double scale) {
  const auto n = static_cast<std::int64_t>(targets.size());
  return {"head_cross_entropy",
          at,
          [=, t = indices(targets)](Inputs x) {
            // Rows are gathered so that there may be none.
            std::vector<std::int32_t> rows;
            for (std::int64_t i = 0; i < n; ++i) rows.push_back(static_cast<std::int32_t>(i));
            return csreft::head_cross_entropy(csreft::gather_rows(x[0], indices(rows)), x[1], t, scale, chunk);
          },
          {normal({n + 1, 3}), normal({6, 3}, 1)}};
}

std::vector<Case> head_cases() {
  const Tensor targets = indices({5, 0, 2, 2, 1});
  const PackedMatrix packed(normal({6, 3}, 1));
  return {
      head_case("one chunk", {5, 0, 2, 2, 1}, 256, 0.2),
      head_case("chunks of 2", {5, 0, 2, 2, 1}, 2, 1.0),
      head_case("chunks of 1", {5, 0, 2}, 1, -3.0),
      head_case("one target", {4}, 4, 1.0),
      head_case("no targets", {}, 4, 1.0),
      {"head_cross_entropy",
       "packed W, chunks of 2",
       [=](Inputs x) { return csreft::head_cross_entropy(x[0], packed, targets, 0.5, 2); },
       {normal({5, 3})}},
      {"head_cross_entropy",
       "constant hidden states, chunks of 3",
       [=](Inputs x) {
         return csreft::head_cross_entropy(Variable(normal({5, 3})), x[0], targets, 0.5, 3);
       },
       {normal({6, 3}, 1)}},
      {"head_cross_entropy",
       "a factor behind it",
       [=](Inputs x) { return csreft::scale(csreft::head_cross_entropy(x[0], packed, targets, 0.5, 2), 7.0); },
       {normal({5, 3})}},
      {"head_cross_entropy",
       "large logits",
       [=](Inputs x) { return csreft::head_cross_entropy(x[0], packed, targets, 1.0); },
       {uniform({5, 3}, 10.0, 30.0)}},
  };
}

// x[0] hidden [7, 5], then A [4, 5], b [4], P [4, 5], alpha [3, 2] as far as they are asked for.
Case update_case(std::string_view at, const std::string& operands, const EditRows& rows) {
  std::vector<Tensor> inputs{normal({7, 5})};
  for (const char name : operands) {
    const Shape shape = name == 'b' ? Shape{4} : name == 'g' ? Shape{3, 2} : Shape{4, 5};
    inputs.push_back(normal(shape, static_cast<std::uint64_t>(name)));
  }
  const auto apply = [=](Inputs x) {
    const auto operand = [&](char name) {
      const auto i = operands.find(name);
      return i == std::string::npos ? Variable() : x[i + 1];
    };
    return csreft::low_rank_update(x[0], rows, operand('A'), operand('b'), operand('P'), operand('g'));
  };
  return {"low_rank_update", at, apply, inputs};
}

// h + P^T (g * u) with the gate or without.
Case write_case(std::string_view at, bool gated, const EditRows& rows) {
  std::vector<Tensor> inputs{normal({7, 5}), normal({4, 4}, 1), normal({4, 5}, 2)};
  if (gated) inputs.push_back(normal({3, 2}, 3));
  return {"low_rank_write", at,
          [=](Inputs x) { return csreft::low_rank_write(x[0], rows, x[1], x[2], gated ? x[3] : Variable()); }, inputs};
}

std::vector<Case> edit_cases() {
  const EditRows rows{indices({0, 2, 3, 6}), indices({0, 0, 1, 2})};
  const EditRows one{indices({4}), indices({1})};
  const EditRows every{indices({6, 5, 4, 3, 2, 1, 0}), indices({2, 2, 1, 1, 1, 0, 0})};
  const EditRows none{indices({}), indices({})};
  const auto shift = [](const EditRows& at) {
    return [at](Inputs x) { return csreft::scale_shift(x[0], at, x[1], x[2]); };
  };
  const auto hidden_frozen = [rows](Inputs x) {
    return csreft::low_rank_update(Variable(normal({7, 5})), rows, x[0], x[1], x[2]);
  };
  const auto only_gate = [rows](Inputs x) {
    return csreft::low_rank_update(Variable(normal({7, 5})), rows, Variable(normal({4, 5}, 1)), {},
                                   Variable(normal({4, 5}, 2)), x[0]);
  };
  const auto gates_of_rows = [own = EditRows{indices({0, 2, 3, 6}), indices({0, 1, 2, 3})}](Inputs x) {
    return csreft::low_rank_update(x[0], own, x[1], x[2], x[3], x[4]);
  };
  const std::vector<Tensor> shift_inputs{normal({7, 5}), normal({5}, 1), normal({5}, 2)};
  return {
      update_case("all operands", "AbPg", rows),
      update_case("no gate", "AbP", rows),
      update_case("no A", "bPg", rows),
      update_case("no b", "APg", rows),
      update_case("no A, no gate", "bP", rows),
      update_case("no b, no gate", "AP", rows),
      update_case("one row", "AbPg", one),
      update_case("every row, in another order", "AbPg", every),
      update_case("no rows", "AbPg", none),
      write_case("gated", true, rows),
      write_case("without gates", false, rows),
      {"low_rank_update", "frozen hidden states", hidden_frozen, {normal({4, 5}), normal({4}, 1), normal({4, 5}, 2)}},
      {"low_rank_update",
       "each row with gates of its own",
       gates_of_rows,
       {normal({7, 5}), normal({4, 5}, 1), normal({4}, 2), normal({4, 5}, 3), normal({4, 2}, 4)}},
      {"low_rank_update", "the gate alone", only_gate, {normal({3, 4})}},
      {"low_rank_update",
       "one matrix as A and P",
       [rows](Inputs x) { return csreft::low_rank_update(x[0], rows, x[1], {}, x[1]); },
       {normal({7, 5}), normal({4, 5}, 1)}},
      {"scale_shift", "some rows", shift(rows), shift_inputs},
      {"scale_shift", "one row", shift(one), shift_inputs},
      {"scale_shift", "every row", shift(every), shift_inputs},
      {"scale_shift", "no rows", shift(none), shift_inputs},
  };
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const auto& some : {elementwise_cases(), row_cases(), linear_cases(), norm_and_rope_cases(), attention_cases(),
                           head_cases(), edit_cases()}) {
    cases.insert(cases.end(), some.begin(), some.end());
  }
  return cases;
}

}  // namespace

TEST_CASE("the backward of every function agrees with differences of its forward") {
  for (const auto& c : all_cases()) {
    CAPTURE(c.function);
    CAPTURE(c.at);
    // Every element on the CPU. On another device the functions are the same, and the primitives have tests of their
    // own: a few elements tell whether they fit together there.
    csreft::GradcheckOptions options;
    if (test_device() != csreft::Device{}) options.sample = 4;
    const auto result = csreft::gradcheck(c.apply, c.inputs, options);
    CHECK_MESSAGE(result.passed, result.str());
    CHECK(result.checked > 0);
  }
}

TEST_CASE("every function that functions.h declares has a gradcheck") {
  std::ifstream header(source("autograd/functions/functions.h"));
  REQUIRE(header.is_open());
  const std::regex declaration(R"(^(?:Variable|std::vector<Variable>|AddedAndNormed) (\w+)\()");
  std::set<std::string> declared, checked;
  std::smatch match;
  for (std::string line; std::getline(header, line);) {
    if (std::regex_search(line, match, declaration)) declared.insert(match[1]);
  }
  for (const auto& c : all_cases()) checked.emplace(c.function);
  CHECK(declared.size() >= 10);
  for (const auto& name : declared) CHECK_MESSAGE(checked.contains(name), name, " has no gradcheck");
  for (const auto& name : checked) CHECK_MESSAGE(declared.contains(name), name, " is not declared in functions.h");
}
