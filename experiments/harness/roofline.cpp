#include "experiments/harness/roofline.h"

#include <algorithm>
#include <array>

#include "core/error.h"

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
  double d, ffn, q, kv, vocab;  // widths

  explicit Sizes(const TrainingStep& step)
      : tokens(static_cast<double>(step.sequences * step.length)),
        supervised(tokens / 2.0),
        edited(static_cast<double>(step.sequences * step.edited_positions)),
        length(static_cast<double>(step.length)),
        d(static_cast<double>(step.config.hidden_size)),
        ffn(static_cast<double>(step.config.intermediate_size)),
        q(static_cast<double>(step.config.n_heads * step.config.head_dim)),
        kv(static_cast<double>(step.config.n_kv_heads * step.config.head_dim)),
        vocab(static_cast<double>(step.config.vocab_size)) {}
};

// rows x in times in x out, the weights frozen.
Operation product(std::string name, std::int64_t calls, double rows, double in, double out) {
  return {.name = std::move(name),
          .source = "matmul.cu (cuBLAS)",
          .arithmetic = Arithmetic::bf16,
          .calls = calls,
          .bytes = bf16_bytes * (in * out + rows * in) + f32_bytes * rows * out,
          .flops = 2.0 * rows * in * out};
}

// An operation whose time is that of its memory: `numbers` f32 read and written, `flops` for each of `elements`.
Operation streaming(std::string name, std::string source, std::int64_t calls, double numbers, double flops) {
  return {.name = std::move(name),
          .source = std::move(source),
          .arithmetic = Arithmetic::f32,
          .calls = calls,
          .bytes = f32_bytes * numbers,
          .flops = flops};
}

// Scores and their sum over the values: 4 FLOPs for each query, key below it and number of a head.
double attention_flops(const Sizes& s) { return 4.0 * s.tokens * (s.length + 1.0) / 2.0 * s.q; }

void add_forward(std::vector<Operation>& out, const Sizes& s, std::int64_t layers, bool backward) {
  const std::string of = backward ? ", backward" : "";
  // The gradient of a product's input is a product with the same weights, transposed.
  const auto linear = [&](const char* name, std::int64_t calls, double in, double width) {
    out.push_back(backward ? product(name + of, calls, s.tokens, width, in)
                           : product(name, calls, s.tokens, in, width));
  };
  // Per element: forward reads x and writes y; backward reads dy and x and writes dx.
  const double passes = backward ? 3.0 : 2.0;
  out.push_back(streaming("normalisation" + of, "rms_norm.cu", 2 * layers, passes * s.tokens * s.d,
                          (backward ? 8.0 : 4.0) * s.tokens * s.d));
  linear("q and o", 2 * layers, s.d, s.q);
  linear("k and v", 2 * layers, s.d, s.kv);
  out.push_back(streaming("rotary embedding" + of, "rope.cu", layers, 2.0 * s.tokens * (s.q + s.kv),
                          3.0 * s.tokens * (s.q + s.kv)));
  // Backward computes the scores again: five products for the two of forward.
  out.push_back(streaming("attention" + of, backward ? "attention_backward.cu" : "attention.cu", layers,
                          s.tokens * (backward ? 4.0 * s.q + 4.0 * s.kv : 2.0 * s.q + 2.0 * s.kv),
                          (backward ? 2.5 : 1.0) * attention_flops(s)));
  linear("gate and up", 2 * layers, s.d, s.ffn);
  out.push_back(streaming("SwiGLU" + of, "silu_mul.cu", layers, (backward ? 5.0 : 3.0) * s.tokens * s.ffn,
                          (backward ? 10.0 : 5.0) * s.tokens * s.ffn));
  linear("down", layers, s.ffn, s.d);
  out.push_back(streaming("residual" + of, "elementwise.cu", 2 * layers, 3.0 * s.tokens * s.d, s.tokens * s.d));
}

// Logits of the supervised tokens, their loss and gradient in place, and back.
void add_head(std::vector<Operation>& out, const Sizes& s) {
  out.push_back(product("head", 1, s.supervised, s.d, s.vocab));
  out.push_back(streaming("cross-entropy and its gradient", "cross_entropy.cu", 1, 3.0 * s.supervised * s.vocab,
                          8.0 * s.supervised * s.vocab));
  out.push_back(product("head, backward", 1, s.supervised, s.vocab, s.d));
}

// h + R^T (g * ((W - R) h + b)) on the edited rows, R and W [rank, d].
void add_edits(std::vector<Operation>& out, const Sizes& s, const TrainingStep& step) {
  const auto layers = static_cast<std::int64_t>(step.edited_layers.size());
  const double matrix = static_cast<double>(step.rank) * s.d, rows = s.edited * s.d;
  const double products = 2.0 * s.edited * matrix;  // FLOPs of one thin product
  out.push_back(streaming("edit", "matmul.cu, low_rank_gate.cu", layers, 2.0 * matrix + 2.0 * rows, 3.0 * products));
  out.push_back(
      streaming("edit, backward", "matmul.cu, low_rank_gate.cu", layers, 4.0 * matrix + 4.0 * rows, 6.0 * products));
}

}  // namespace

std::span<const Card> cards() { return the_cards; }

double Operation::seconds(const Card& card) const {
  return std::max(bytes / card.bandwidth, flops / (arithmetic == Arithmetic::bf16 ? card.bf16 : card.f32));
}

std::vector<Operation> operations(const TrainingStep& step) {
  require(step.sequences > 0 && step.length > 0 && !step.edited_layers.empty(),
          "a step of {} x {} tokens with {} edited layers has nothing to train: expected some of each", step.sequences,
          step.length, step.edited_layers.size());
  const Sizes s(step);
  std::vector<Operation> out;
  out.push_back(streaming("embedding", "rows.cu", 1, 2.0 * s.tokens * s.d, 0.0));
  add_forward(out, s, step.config.n_layers, /*backward=*/false);
  add_head(out, s);
  // Nothing below the first edit has a gradient, and that edit is made to the output of its layer.
  add_forward(out, s, step.config.n_layers - 1 - step.edited_layers.front(), /*backward=*/true);
  out.push_back(
      streaming("last normalisation, both ways", "rms_norm.cu", 1, 5.0 * s.tokens * s.d, 12.0 * s.tokens * s.d));
  add_edits(out, s, step);
  const auto trained = static_cast<double>(step.parameters.total);
  // AdamW reads the parameter, its gradient and both moments, and writes all but the gradient.
  out.push_back(streaming("AdamW", "optimizers.cu", 1, 7.0 * trained, 12.0 * trained));
  return out;
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
    text +=
        fmt::format("| {} | {} | {} | {:.2f} | {:.2f} |", o.name, o.source, o.calls, o.bytes * 1e-6, o.flops * 1e-9);
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
        "and "
        "{:.4g} TB/s ({}).\n",
        cards()[i].name, sums[i] * 1e3, tokens / sums[i], cards()[i].bf16 * 1e-12, cards()[i].f32 * 1e-12,
        cards()[i].bandwidth * 1e-12, cards()[i].source);
  }
  return text;
}

}  // namespace csreft
