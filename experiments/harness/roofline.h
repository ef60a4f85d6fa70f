// The least time that the operations of a training step can take on a card, from its data sheet alone: for each, the
// larger of its bytes over the memory's bandwidth and its FLOPs over the peak of their kind. An estimate, not a
// measurement: nothing here has run on a card.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/llama_config.h"
#include "reft/methods/method.h"

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

struct Operation {
  std::string name;
  std::string source;  // the file under core/cuda
  Arithmetic arithmetic;
  std::int64_t calls;   // in one step
  double bytes, flops;  // of one call: every operand read once, every result written once

  double seconds(const Card& card) const;  // of one call
};

// One optimizer step on sequences without padding, of which the last half of the tokens is supervised. The weights are
// frozen and in bf16, as are the inputs of their products; all else is in f32.
struct TrainingStep {
  LlamaConfig config;
  std::int64_t sequences = 1, length = 2048;
  std::vector<std::int64_t> edited_layers{};  // in rising order
  std::int64_t edited_positions = 10;         // of each prompt
  std::int64_t rank = 16;                     // of all subspaces together
  ParameterCount parameters{};
};

// What this project's forward pass, backward pass and optimizer compute; the router and the Stiefel step, of less than
// a thousandth, are left out.
std::vector<Operation> operations(const TrainingStep& step);

// The operations, a row each, and below them the step's sum and tokens/s on each card, in Markdown.
std::string roofline_table(const TrainingStep& step);

}  // namespace csreft
