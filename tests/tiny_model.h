// Small random Llamas in memory, for tests.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/checkpoints/checkpoint.h"
#include "models/llama/llama.h"
#include "reft/positions.h"

using TokenIds = std::vector<std::int32_t>;

// 3 layers, hidden size 12, 4 heads that share 2 key/value heads, vocabulary 23, context 40, untied head.
csreft::LlamaConfig tiny_config();

// Random weights for any config: matrices of deviation 1 / sqrt(inputs), norms around 1, biases
// of deviation 0.3.
csreft::Checkpoint tiny_checkpoint(const csreft::LlamaConfig& config, std::uint64_t seed = 1);

// An f64 model of tiny_config().
csreft::Llama tiny_llama(csreft::Weights weights = csreft::Weights::frozen, std::uint64_t seed = 1);

// A sequence of random ids for each length.
std::vector<TokenIds> random_sequences(std::span<const std::int64_t> lengths, std::int64_t vocab_size,
                                       std::uint64_t seed = 1);

// Sequences in which the tokens after each prompt are to be predicted.
struct TinyTask {
  std::vector<TokenIds> sequences;
  csreft::TokenBatch batch;
  csreft::PromptSpans prompts;
  csreft::Tensor rows;     // i32: rows whose next token is supervised
  csreft::Tensor targets;  // i32: these tokens
};
TinyTask make_task(std::vector<TokenIds> sequences, std::span<const std::int64_t> prompt_lengths);
// Random tokens of tiny_config()'s vocabulary; sequences[i] has lengths[i] tokens.
TinyTask random_task(std::span<const std::int64_t> lengths, std::span<const std::int64_t> prompt_lengths);

// Mean cross-entropy over all supervised tokens, [1].
csreft::Variable task_loss(const csreft::Llama& model, const TinyTask& task,
                           const csreft::Attachments& attachments = {});
