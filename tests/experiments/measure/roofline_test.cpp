// The estimate of a training step: its parts add up to what is known of the whole.
#include "experiments/measure/roofline.h"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include "experiments/measure/random_llama.h"
#include "tests/error_text.h"
#include "tests/program.h"

namespace {

using csreft::Arithmetic;
using csreft::Operation;

csreft::TrainingStep llama_step(std::vector<std::int64_t> layers = {3, 9, 18, 24}) {
  return {.config = csreft::llama2_7b_shape(),
          .sequences = 2,
          .length = 512,
          .edited_layers = std::move(layers),
          .adamw_parameters = 393'444};
}

double weight_flops(const csreft::TrainingStep& step, bool backward) {
  double flops = 0.0;
  for (const Operation& o : csreft::operations(step)) {
    const bool is_backward = o.name.ends_with("backward");
    const bool is_product = o.arithmetic == Arithmetic::bf16 && o.source == "matmul.cu (cuBLAS)";
    if (is_product && is_backward == backward) flops += static_cast<double>(o.calls) * o.flops;
  }
  return flops;
}

const Operation& find(const std::vector<Operation>& all, const std::string& name) {
  const auto found = std::ranges::find(all, name, &Operation::name);
  REQUIRE(found != all.end());
  return *found;
}

}  // namespace

TEST_CASE("the estimate's products forward take two FLOPs a weight and token, the head for supervised ones alone") {
  const auto step = llama_step();
  const double head = static_cast<double>(step.config.vocab_size * step.config.hidden_size);
  const double layers = csreft::matrix_elements(step.config) - head;
  const double tokens = 1024.0;
  CHECK(weight_flops(step, false) == doctest::Approx(2.0 * tokens * (layers + head / 2.0)));
  // Backward: the layers above the first edited one, 4 to 31 of 32.
  CHECK(weight_flops(step, true) == doctest::Approx(2.0 * tokens * (layers * 28.0 / 32.0 + head / 2.0)));
  CHECK(weight_flops(llama_step({31}), true) == doctest::Approx(tokens * head));
  // Attention: 2 products forward and 7 backward of queries with the keys up to each, 2 FLOPs a number of a head.
  const double attention = 2.0 * tokens * 513.0 / 2.0 * 4096.0 * (32.0 * 2.0 + 28.0 * 7.0);
  CHECK(csreft::product_flops(step) ==
        doctest::Approx(weight_flops(step, false) + weight_flops(step, true) + attention));
}

TEST_CASE("an operation takes the longer of its memory's and its arithmetic's time") {
  const csreft::Card card{"card", "here", /*bf16=*/100.0, /*f32=*/10.0, /*bandwidth=*/5.0};
  const auto seconds = [&](Arithmetic arithmetic, double bytes, double flops) {
    return Operation{"o", "o.cu", arithmetic, 1, bytes, flops}.seconds(card);
  };
  CHECK(seconds(Arithmetic::f32, 50.0, 20.0) == doctest::Approx(10.0));
  CHECK(seconds(Arithmetic::f32, 5.0, 20.0) == doctest::Approx(2.0));
  CHECK(seconds(Arithmetic::bf16, 5.0, 20.0) == doctest::Approx(1.0));
}

TEST_CASE("the estimate counts what each kernel of a step reads, writes and computes") {
  // 8 tokens of which 4 are supervised and 4 edited, 5 layers of which 3 lie above the first edit; q is 12 wide, k 6.
  csreft::LlamaConfig config;
  config.vocab_size = 10;
  config.hidden_size = 8;
  config.intermediate_size = 20;
  config.n_layers = 5;
  config.n_heads = 4;
  config.n_kv_heads = 2;
  config.head_dim = 3;
  const auto all = csreft::operations({.config = config,
                                       .sequences = 2,
                                       .length = 4,
                                       .edited_layers = {1, 3},
                                       .edited_positions = 2,
                                       .rank = 3,
                                       .adamw_parameters = 100});
  struct Expected {
    const char* name;
    Arithmetic arithmetic;
    std::int64_t calls;
    double bytes;
  };
  constexpr auto f32 = Arithmetic::f32, bf16 = Arithmetic::bf16;
  constexpr double hidden = 8 * 8 * 4, q = 8 * 12 * 4, k = 8 * 6 * 4, ffn = 8 * 20 * 4, lse = 8 * 4 * 4;
  constexpr double edited = 4 * 8 * 4, matrix = 3 * 8 * 4, u = 4 * 3 * 4, supervised = 4 * 8 * 4, logits = 4 * 10 * 4;
  const std::vector<Expected> expected{
      {"embedding", f32, 1, hidden + hidden},
      // Before attention in layers 0, 2 and 4: x, y. In the other places, the last one with them: a, b, sum, y.
      {"normalisation", f32, 3, hidden + hidden},
      {"residual sum and normalisation", f32, 8, 4 * hidden},
      {"last normalisation, backward", f32, 1, 3 * hidden},          // dy, x, dx
      {"residual and normalisation, backward", f32, 6, 4 * hidden},  // dy, x, what came by the other way, dx
      {"q", bf16, 5, 2 * 8 * 12 + hidden / 2 + q},                   // weights and input in bf16, output in f32
      {"k and v", bf16, 10, 2 * 8 * 6 + hidden / 2 + k},
      {"o", bf16, 5, 2 * 12 * 8 + q / 2 + hidden},
      {"gate and up", bf16, 10, 2 * 8 * 20 + hidden / 2 + ffn},
      {"down", bf16, 5, 2 * 20 * 8 + ffn / 2 + hidden},
      // Of q, k and v and of gate and up, the last one's gradient is the first, and the others are added to it.
      {"q, backward", bf16, 3, 2 * 8 * 12 + q / 2 + 2 * hidden},
      {"k and v, backward", bf16, 6, 2 * 8 * 6 + k / 2 + 1.5 * hidden},
      {"o, backward", bf16, 3, 2 * 12 * 8 + hidden / 2 + q},
      {"gate and up, backward", bf16, 6, 2 * 8 * 20 + ffn / 2 + 1.5 * hidden},
      {"down, backward", bf16, 3, 2 * 20 * 8 + hidden / 2 + ffn},
      {"input rounded to bf16, 8 wide", f32, 10, hidden + hidden / 2},           // for q, k and v, for gate and up
      {"input rounded to bf16, 12 wide", f32, 5, q + q / 2},                     // for o
      {"input rounded to bf16, 20 wide", f32, 5, ffn + ffn / 2},                 // for down
      {"input rounded to bf16, 8 wide, backward", f32, 6, hidden + hidden / 2},  // of o and down
      {"input rounded to bf16, 12 wide, backward", f32, 3, q + q / 2},           // of q
      {"input rounded to bf16, 6 wide, backward", f32, 6, k + k / 2},            // of k and v
      {"input rounded to bf16, 20 wide, backward", f32, 6, ffn + ffn / 2},       // of gate and up
      {"rotary embedding of q", f32, 5, q + q},
      {"rotary embedding of k", f32, 5, k + k},
      {"rotary embedding of q, backward", f32, 3, q + q},
      {"rotary embedding of k, backward", f32, 3, k + k},
      {"attention", bf16, 5, q + k + k + q + lse},
      {"attention, backward: delta", f32, 3, q + q + lse},                   // dout, out, delta
      {"attention, backward: dk and dv", bf16, 3, 2 * q + 4 * k + 2 * lse},  // q, dout; k, v, dk, dv; lse, delta
      {"attention, backward: dq", bf16, 3, 3 * q + 2 * k + 2 * lse},         // q, dout, dq; k, v; lse, delta
      {"SwiGLU", f32, 5, 3 * ffn},                                           // gate, up, y
      {"SwiGLU, backward", f32, 3, 5 * ffn},                                 // dy, gate, up, dgate, dup
      {"supervised rows", f32, 1, supervised + supervised},
      {"head: input rounded to bf16", f32, 1, supervised + supervised / 2},
      {"head", bf16, 1, 2 * 10 * 8 + supervised / 2 + logits},
      {"cross-entropy and its gradient", f32, 1, logits + logits},
      {"head, backward: input rounded to bf16", f32, 1, logits + logits / 2},
      {"head, backward", bf16, 1, 2 * 10 * 8 + logits / 2 + supervised},
      {"head, backward: copy of a chunk", f32, 1, supervised + supervised},
      {"head, backward: scale", f32, 1, supervised + supervised},
      {"supervised rows, backward: zeros", f32, 1, hidden},
      {"supervised rows, backward", f32, 1, 3 * supervised},  // rows, and what they are added to
      {"edit: residual sum", f32, 2, 3 * hidden},
      // W - R; rows of h; h A^T; b and gates; (g * u) R
      {"edit: its products", f32, 2, 3 * matrix + 2 * edited + (edited + matrix + u) + 3 * u + (u + matrix + edited)},
      {"edit: added to its rows", f32, 2, hidden + edited + hidden},
      // Rows of dh'; dh' R^T; c, u and the gated c; dA; dR; -dA; its sum with dR
      {"edit, backward: its products", f32, 2,
       2 * edited + (edited + matrix + u) + 3 * u + (u + edited + matrix) + (u + edited + matrix) + 2 * matrix +
           3 * matrix},
      {"edit, backward: through A", f32, 1, u + matrix + edited},
      {"edit, backward: added to its rows", f32, 1, hidden + edited + hidden},
      {"AdamW", f32, 1, 7 * 4 * 100},  // g; w, m, v read and written
  };
  for (const Expected& e : expected) {
    CAPTURE(e.name);
    const Operation& o = find(all, e.name);
    CHECK(o.calls == e.calls);
    CHECK(o.bytes == doctest::Approx(e.bytes));
    CHECK((o.arithmetic == e.arithmetic));
    CHECK(std::isfinite(o.flops));
  }
  CHECK(all.size() == expected.size());

  // The first query of a sequence meets one key, its fourth all: 10 pairs, in 2 sequences and 4 heads of 3 numbers.
  constexpr double product = 10 * 2 * 4 * 3 * 2;
  CHECK(find(all, "attention").flops == doctest::Approx(2 * product));                       // q k^T, p v
  CHECK(find(all, "attention, backward: dk and dv").flops == doctest::Approx(4 * product));  // both again, dk, dv
  CHECK(find(all, "attention, backward: dq").flops == doctest::Approx(3 * product));         // both again, dq
}

TEST_CASE("the estimate reads the head's weights for each chunk of supervised tokens, and nothing twice otherwise") {
  // 512 supervised tokens: two chunks of 256.
  const Operation head = find(csreft::operations(llama_step()), "head");
  CHECK(head.calls == 2);
  CHECK(head.bytes == doctest::Approx(2.0 * 32'000 * 4096 + 2.0 * 256 * 4096 + 4.0 * 256 * 32'000));
}

TEST_CASE("a step that edits one layer, the last, sends nothing back through an edit or a block") {
  auto all = csreft::operations(llama_step({31}));
  CHECK(std::ranges::none_of(all, [](const Operation& o) { return o.name.starts_with("edit, backward: through"); }));
  CHECK(std::ranges::none_of(all, [](const Operation& o) { return o.name.starts_with("attention, backward"); }));
  CHECK(find(all, "residual sum and normalisation").calls == 63);
}

TEST_CASE("./run roofline says that it is an estimate, and refuses a step of nothing") {
  const ProgramResult result = run_program({"roofline"});
  CAPTURE(result.err);
  REQUIRE(result.code == 0);
  for (const char* part :
       {"an estimate", "not measured", "k = 4, r = 4, layers 3, 9, 18, 24", "H100 SXM: at least", "RTX 4090: at least",
        "data sheet", "| attention (bf16) |", "| SwiGLU (f32) |", "655588 trainable parameters"}) {
    CAPTURE(part);
    CHECK(contains(result.out, part));
  }
  CHECK(run_program({"roofline", "--length", "3"}).code == 2);
  CHECK(run_program({"roofline", "--layers", "32"}).code == 2);
}
