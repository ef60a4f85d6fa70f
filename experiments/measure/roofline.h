// The least time that the operations of a training step can take on a card, from its data sheet alone: for each, the
// larger of its bytes over the memory's bandwidth and its FLOPs over the peak of their kind. An estimate, not a
// measurement: nothing here has run on a card.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/llama/llama_config.h"

namespace csreft {

struct Card {
  const char* name;
  const char* source;
  double bf16;       // FLOP/s, dense, sums in f32
  double f32;        // FLOP/s, without tensor cores
  double bandwidth;  // bytes/s
};
std::span<const Card> cards();

enum class Arithmetic { f32, bf16 };
std::string_view to_string(Arithmetic arithmetic);

// Launches of one kernel, or product of cuBLAS, with operands of one size; or small ones that follow each other.
struct Operation {
  std::string name;
  std::string source;     // the file under core/cuda
  Arithmetic arithmetic;  // of its FLOPs
  std::int64_t calls;     // in one step
  double bytes, flops;    // of one call: every operand read once, every result written once

  double seconds(const Card& card) const;  // of one call
};

// One optimizer step on sequences without padding, of which the last half of the tokens is supervised, in one pass. The
// weights are frozen and in bf16. Products with them and those of attention are in bf16 with sums in f32; what lies in
// memory between the kernels, and all else that they compute, is in f32.
struct TrainingStep {
  LlamaConfig config;
  std::int64_t sequences = 1, length = 2048;
  std::vector<std::int64_t> edited_layers{};  // in rising order
  std::int64_t edited_positions = 10;         // of each prompt
  std::int64_t rank = 16;                     // of all subspaces together
  std::int64_t adamw_parameters = 0;          // trained ones that are not on the Stiefel manifold
};

// What this project's forward pass, backward pass and optimizer compute. The router, the gradient's norm and the step
// on the Stiefel manifold, of less than a thousandth, are left out, as are vectors as long as a row or a column.
std::vector<Operation> operations(const TrainingStep& step);

// FLOPs of a step's products: with frozen weights, and those of attention.
double product_flops(const TrainingStep& step);

// The operations, a row each, and below them the step's sum and tokens/s on each card, in Markdown.
std::string roofline_table(const TrainingStep& step);

}  // namespace csreft
