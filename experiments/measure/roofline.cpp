#include "experiments/measure/roofline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "autograd/functions/functions.h"
#include "core/base/error.h"

namespace csreft {
namespace {

constexpr std::array the_cards{
    Card{"H100 SXM", "NVIDIA H100 Tensor Core GPU data sheet (half of the figure with sparsity)", 989.5e12, 67e12,
         3.35e12},
    Card{"RTX 4090", "NVIDIA Ada GPU Architecture white paper, appendix A", 165.2e12, 82.6e12, 1.008e12},
};

constexpr double f32_bytes = 4.0, bf16_bytes = 2.0;

struct Sizes {
  double tokens, supervised, edited, length;
  double d, ffn, q, kv, heads, vocab;  // widths
  std::int64_t layers, edits;

  explicit Sizes(const TrainingStep& step)
      : tokens(static_cast<double>(step.sequences * step.length)),
        supervised(tokens / 2.0),
        edited(static_cast<double>(step.sequences * step.edited_positions)),
        length(static_cast<double>(step.length)),
        d(static_cast<double>(step.config.hidden_size)),
        ffn(static_cast<double>(step.config.intermediate_size)),
        q(static_cast<double>(step.config.n_heads * step.config.head_dim)),
        kv(static_cast<double>(step.config.n_kv_heads * step.config.head_dim)),
        heads(static_cast<double>(step.config.n_heads)),
        vocab(static_cast<double>(step.config.vocab_size)),
        layers(step.config.n_layers),
        edits(static_cast<std::int64_t>(step.edited_layers.size())) {}
};

using Operations = std::vector<Operation>;

// rows x in times in x out, the weights frozen. `added` is the share of the calls that add to what they find.
void add_product(Operations& all, std::string name, std::int64_t calls, double rows, double in, double out,
                 double added = 0.0) {
  all.push_back({.name = std::move(name),
                 .source = "matmul.cu (cuBLAS)",
                 .arithmetic = Arithmetic::bf16,
                 .calls = calls,
                 .bytes = bf16_bytes * (in * out + rows * in) + (1.0 + added) * f32_bytes * rows * out,
                 .flops = 2.0 * rows * in * out});
}

// `numbers` in f32 read and written.
void add_f32(Operations& all, std::string name, std::string source, std::int64_t calls, double numbers, double flops) {
  all.push_back({std::move(name), std::move(source), Arithmetic::f32, calls, f32_bytes * numbers, flops});
}

// Numbers in f32 read and written around products of tensor cores.
void add_attention(Operations& all, std::string name, std::string source, std::int64_t calls, double numbers,
                   double flops) {
  all.push_back({std::move(name), std::move(source), Arithmetic::bf16, calls, f32_bytes * numbers, flops});
}

// The factors of products with frozen weights, in f32, are rounded before.
void add_rounding(Operations& all, std::string name, std::int64_t calls, double elements) {
  all.push_back({std::move(name), "elementwise.cu", Arithmetic::f32, calls, (f32_bytes + bf16_bytes) * elements, 0.0});
}

// The products with the weights of `layers` blocks. The gradient of a product's input is one with the same weights,
// transposed.
void add_linears(Operations& all, const Sizes& s, std::int64_t layers, bool backward) {
  struct Linear {
    const char* name;
    std::int64_t calls;
    double in, out;
    std::int64_t inputs;  // that are not rounded for the one before, too
    double added;         // share of the gradients that are added to another's: q's to k's, that to v's; gate's to up's
  };
  const std::array linears{Linear{"q", 1, s.d, s.q, 1, 1.0}, Linear{"k and v", 2, s.d, s.kv, 0, 0.5},
                           Linear{"o", 1, s.q, s.d, 1, 0.0}, Linear{"gate and up", 2, s.d, s.ffn, 1, 0.5},
                           Linear{"down", 1, s.ffn, s.d, 1, 0.0}};
  const std::string of = backward ? ", backward" : "";
  std::map<double, std::int64_t> rounded;  // calls by width
  for (const Linear& linear : linears) {
    const double in = backward ? linear.out : linear.in, out = backward ? linear.in : linear.out;
    add_product(all, linear.name + of, linear.calls * layers, s.tokens, in, out, backward ? linear.added : 0.0);
    rounded[in] += (backward ? linear.calls : linear.inputs) * layers;
  }
  for (const auto& [width, calls] : rounded) {
    add_rounding(all, fmt::format("input rounded to bf16, {} wide{}", width, of), calls, s.tokens * width);
  }
}

// FLOPs of one product of attention, of scores or with them: 2 for each query, key up to it and number of a head.
double attention_product(const Sizes& s) { return 2.0 * s.tokens * (s.length + 1.0) / 2.0 * s.q; }

void add_forward(Operations& all, const Sizes& s) {
  const double hidden = s.tokens * s.d, q = s.tokens * s.q, kv = s.tokens * s.kv, ffn = s.tokens * s.ffn;
  add_f32(all, "embedding", "rows.cu", 1, 2.0 * hidden, 0.0);
  // Two a layer and the last. What comes from the embedding or from an edit has nothing to be added.
  add_f32(all, "normalisation", "rms_norm.cu", 1 + s.edits, 2.0 * hidden, 4.0 * hidden);
  add_f32(all, "residual sum and normalisation", "rms_norm.cu", 2 * s.layers - s.edits, 4.0 * hidden, 5.0 * hidden);
  add_linears(all, s, s.layers, /*backward=*/false);
  add_f32(all, "rotary embedding of q", "rope.cu", s.layers, 2.0 * q, 3.0 * q);
  add_f32(all, "rotary embedding of k", "rope.cu", s.layers, 2.0 * kv, 3.0 * kv);
  add_attention(all, "attention", "attention_bf16.cu", s.layers, 2.0 * q + 2.0 * kv + s.tokens * s.heads,
                2.0 * attention_product(s));
  add_f32(all, "SwiGLU", "silu_mul.cu", s.layers, 3.0 * ffn, 5.0 * ffn);
}

// Scores and their gradients are computed for the keys, with dk and dv, and again for the queries, with dq.
void add_attention_backward(Operations& all, const Sizes& s, std::int64_t layers) {
  const double q = s.tokens * s.q, kv = s.tokens * s.kv, rows = s.tokens * s.heads;
  add_f32(all, "attention, backward: delta", "attention_backward.cu", layers, 2.0 * q + rows, 2.0 * q);
  add_attention(all, "attention, backward: dk and dv", "attention_bf16_backward.cu", layers,
                2.0 * q + 4.0 * kv + 2.0 * rows, 4.0 * attention_product(s));
  add_attention(all, "attention, backward: dq", "attention_bf16_backward.cu", layers, 3.0 * q + 2.0 * kv + 2.0 * rows,
                3.0 * attention_product(s));
}

// Of the layers above the first edit: nothing below has a gradient.
void add_backward(Operations& all, const Sizes& s, std::int64_t layers) {
  const double hidden = s.tokens * s.d, q = s.tokens * s.q, kv = s.tokens * s.kv, ffn = s.tokens * s.ffn;
  add_f32(all, "last normalisation, backward", "rms_norm.cu", 1, 3.0 * hidden, 7.0 * hidden);
  add_f32(all, "residual and normalisation, backward", "rms_norm.cu", 2 * layers, 4.0 * hidden, 8.0 * hidden);
  add_linears(all, s, layers, /*backward=*/true);
  add_f32(all, "rotary embedding of q, backward", "rope.cu", layers, 2.0 * q, 3.0 * q);
  add_f32(all, "rotary embedding of k, backward", "rope.cu", layers, 2.0 * kv, 3.0 * kv);
  add_attention_backward(all, s, layers);
  add_f32(all, "SwiGLU, backward", "silu_mul.cu", layers, 5.0 * ffn, 10.0 * ffn);
}

// Logits of the supervised tokens, their loss and gradient in place, and back: a chunk of tokens at a time.
void add_head(Operations& all, const Sizes& s) {
  const auto chunks = static_cast<std::int64_t>(std::ceil(s.supervised / static_cast<double>(head_chunk)));
  const double rows = s.supervised / static_cast<double>(chunks), hidden = s.supervised * s.d;
  add_f32(all, "supervised rows", "rows.cu", 1, 2.0 * hidden, 0.0);
  add_rounding(all, "head: input rounded to bf16", chunks, rows * s.d);
  add_product(all, "head", chunks, rows, s.d, s.vocab);
  add_f32(all, "cross-entropy and its gradient", "cross_entropy.cu", chunks, 2.0 * rows * s.vocab,
          8.0 * rows * s.vocab);
  add_rounding(all, "head, backward: input rounded to bf16", chunks, rows * s.vocab);
  add_product(all, "head, backward", chunks, rows, s.vocab, s.d);
  add_f32(all, "head, backward: copy of a chunk", "memory.cpp", chunks, 2.0 * rows * s.d, 0.0);
  add_f32(all, "head, backward: scale", "elementwise.cu", 1, 2.0 * hidden, hidden);
  add_f32(all, "supervised rows, backward: zeros", "elementwise.cu", 1, s.tokens * s.d, 0.0);
  add_f32(all, "supervised rows, backward", "rows.cu", 1, 3.0 * hidden, hidden);
}

// h' = h + R^T (g * u) with u = A h + b and A = W - R, on n edited rows; R and W [rank, d]. Small kernels that follow
// each other are one row here: of a product, its two factors and its result.
void add_edits(Operations& all, const Sizes& s, std::int64_t rank) {
  const double rows = s.edited * s.d, matrix = static_cast<double>(rank) * s.d;
  const double u = s.edited * static_cast<double>(rank), hidden = s.tokens * s.d;
  const double product = rows + matrix + u, product_flops = 2.0 * s.edited * matrix;
  const std::string thin = "elementwise.cu, low_rank_gate.cu, matmul.cu (cuBLAS), rows.cu";
  add_f32(all, "edit: residual sum", "elementwise.cu", s.edits, 3.0 * hidden, hidden);
  // A; rows of h; u; b and g; R^T (g * u)
  add_f32(all, "edit: its products", thin, s.edits, 3.0 * matrix + 2.0 * rows + product + 3.0 * u + product,
          matrix + 2.0 * product_flops + 2.0 * u);
  add_f32(all, "edit: added to its rows", "rows.cu", s.edits, 2.0 * hidden + rows, rows);
  // Rows of dh'; c = R dh'; of the gates; dA; dR by the product; what W - R sends to R: -dA, and the sum
  add_f32(all, "edit, backward: its products", thin, s.edits, 2.0 * rows + 3.0 * product + 3.0 * u + 5.0 * matrix,
          3.0 * product_flops + 5.0 * u + 2.0 * matrix);
  // The hidden state of the first edit has no gradient.
  if (s.edits == 1) return;
  add_f32(all, "edit, backward: through A", "matmul.cu (cuBLAS)", s.edits - 1, product, product_flops);
  add_f32(all, "edit, backward: added to its rows", "rows.cu", s.edits - 1, 2.0 * hidden + rows, rows);
}

}  // namespace

std::span<const Card> cards() { return the_cards; }

std::string_view to_string(Arithmetic arithmetic) { return arithmetic == Arithmetic::bf16 ? "bf16" : "f32"; }

double Operation::seconds(const Card& card) const {
  return std::max(bytes / card.bandwidth, flops / (arithmetic == Arithmetic::bf16 ? card.bf16 : card.f32));
}

std::vector<Operation> operations(const TrainingStep& step) {
  require(step.sequences > 0 && step.length > 0 && !step.edited_layers.empty(),
          "a step of {} x {} tokens with {} edited layers has nothing to train: expected some of each", step.sequences,
          step.length, step.edited_layers.size());
  const Sizes s(step);
  Operations all;
  add_forward(all, s);
  add_head(all, s);
  // The first edit is made to the output of its layer.
  add_backward(all, s, s.layers - 1 - step.edited_layers.front());
  add_edits(all, s, step.rank);
  const auto trained = static_cast<double>(step.adamw_parameters);
  // AdamW reads the parameter, its gradient and both moments, and writes all but the gradient.
  add_f32(all, "AdamW", "optimizers.cu", 1, 7.0 * trained, 12.0 * trained);
  std::erase_if(all, [](const Operation& o) { return o.calls == 0; });
  return all;
}

double product_flops(const TrainingStep& step) {
  double flops = 0.0;
  for (const Operation& o : operations(step)) {
    if (o.arithmetic == Arithmetic::bf16) flops += static_cast<double>(o.calls) * o.flops;
  }
  return flops;
}

std::string roofline_table(const TrainingStep& step) {
  const auto all = operations(step);
  std::string text = "| operation | file | calls | MB a call | GFLOP a call |";
  for (const Card& card : cards()) text += fmt::format(" {}: µs a call | ms a step | bound by |", card.name);
  text += "\n|---|---|---|---|---|";
  for (std::size_t i = 0; i < cards().size(); ++i) text += "---|---|---|";
  text += "\n";
  std::vector<double> sums(cards().size(), 0.0);
  for (const Operation& o : all) {
    text += fmt::format("| {} ({}) | {} | {} | {:.2f} | {:.2f} |", o.name, to_string(o.arithmetic), o.source, o.calls,
                        o.bytes * 1e-6, o.flops * 1e-9);
    for (std::size_t i = 0; i < cards().size(); ++i) {
      const Card& card = cards()[i];
      const double seconds = o.seconds(card), step_seconds = seconds * static_cast<double>(o.calls);
      sums[i] += step_seconds;
      text += fmt::format(" {:.1f} | {:.2f} | {} |", seconds * 1e6, step_seconds * 1e3,
                          seconds > o.bytes / card.bandwidth ? "arithmetic" : "memory");
    }
    text += "\n";
  }
  text += "\n";
  const double tokens = static_cast<double>(step.sequences * step.length);
  for (std::size_t i = 0; i < cards().size(); ++i) {
    text += fmt::format(
        "- {}: at least {:.1f} ms a step, at most {:.0f} tokens/s, at {:.4g} TFLOP/s in bf16, {:.4g} TFLOP/s in f32 "
        "and {:.4g} TB/s ({}).\n",
        cards()[i].name, sums[i] * 1e3, tokens / sums[i], cards()[i].bf16 * 1e-12, cards()[i].f32 * 1e-12,
        cards()[i].bandwidth * 1e-12, cards()[i].source);
  }
  return text;
}

}  // namespace csreft
