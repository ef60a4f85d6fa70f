// Llama (Touvron et al. 2023): embedding, blocks of attention and SwiGLU with RMSNorm before each, a last RMSNorm and
// the head. It knows nothing of fine-tuning; it offers the points at which something can attach.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "autograd/functions/functions.h"
#include "models/checkpoints/checkpoint.h"
#include "models/llama/fingerprint.h"
#include "models/llama/kv_cache.h"
#include "models/llama/llama_config.h"
#include "models/llama/token_batch.h"

namespace csreft {

// The linear layers of a block, in Hugging Face's names.
enum class LinearSite { q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj };

// What a forward pass calls at the points of a block, where set.
struct Attachments {
  // After both residual additions of block `layer` (0-based): hidden states [n, d] -> what the next block reads.
  std::function<Variable(std::int64_t layer, const Variable& hidden)> block_output;
  // The layers for which block_output is called; unset: all. Elsewhere the next norm makes the sum in its own pass.
  std::optional<std::set<std::int64_t>> block_output_layers;
  // After a linear layer: its input x [n, in] and output y = x W^T (+ bias) [n, out] -> what is used in place of y.
  // With checkpointing it is called once more in the backward: what it computes depends on its arguments and on
  // parameters, and goes into its result alone.
  std::function<Variable(std::int64_t layer, LinearSite site, const Variable& x, const Variable& y)> linear;
  // Whether a forward pass that is recorded keeps of each block its input alone, and computes the block again in the
  // backward (autograd/checkpoint.h): a third more work, in memory for one block's activations instead of all. `linear`
  // is then called again, too; block_output, which may say something to later blocks, is not. The model and these
  // attachments must live until the backward.
  bool checkpointing = false;
};

// What calls all of these in order, each on what the one before it returned.
Attachments chained(std::vector<Attachments> all);

struct LlamaLayer {
  Variable attention_norm, ffn_norm;  // [d]
  LinearWeight q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj;
  std::array<Variable, 7> biases;  // [out], by LinearSite; undefined where the layer has none
};

// Whether the model's own weights can be trained. Frozen ones are packed for this machine's matrix products, those of
// linear layers in bf16, or for products in TF32, if so asked (Packing::bf16, Packing::tf32). With bf16 the products of
// attention take it, too, on devices, and a cache keeps it.
// On the host, frozen matrices that are not stored in f32 stay as they are stored, in the mapped file. A model whose
// matrices take up to `max_f32_copies` bytes in f32 has them so as well for products of many rows (PackedMatrix).
inline constexpr std::int64_t max_f32_copies = std::int64_t{1} << 31U;
enum class Weights { frozen, frozen_tf32, frozen_bf16, trainable };

// How a model of this size keeps its frozen matrices.
Packing packing_of(Weights weights, const LlamaConfig& config);

class Llama {
 public:
  // Throws Error for a checkpoint that is not complete. f64 is for gradient checks; on a device, tensor after tensor is
  // read on the host and copied there.
  explicit Llama(const Checkpoint& checkpoint, Weights weights = Weights::frozen, const TensorOptions& options = {});

  const LlamaConfig& config() const { return config_; }
  // The type of hidden states and weights, and where they lie.
  const TensorOptions& options() const { return options_; }
  // What a cache of its keys and values holds (models/llama/kv_cache.h): bf16 on a device whose products take that.
  TensorOptions cache_options() const;
  // The embeddings of these ids, i32 [n]: [n, d].
  Variable embed(const RowIndex& ids) const;
  const LinearWeight& head() const { return head_; }
  // Bytes of the matrices that a pass over so many tokens multiplies by: a generated token of each of so many
  // sequences.
  std::int64_t read_bytes(std::int64_t tokens) const;
  // Trainable weights by their Hugging Face names; empty if frozen. A tied head is not listed twice.
  const std::vector<std::pair<std::string, Variable>>& parameters() const { return parameters_; }
  // Of the weights as the checkpoint has them, which are read for it when it is first asked for; all zeros of weights
  // that are drawn. Thread-safe.
  const Fingerprint& fingerprint() const;

  // The hidden states after the last norm, [n, d]. With a cache, keys and values of the batch are put there first.
  // Throws Error for an id outside the vocabulary, for a position past the context, and for keys in a cache that would
  // need a gradient.
  Variable forward(const TokenBatch& batch, const Attachments& attachments = {}, const KvCache* cache = nullptr) const;
  // The hidden states after block `layer`, [n, d], with nothing attached: what forward() has there, too, as long as
  // nothing below changes it. Throws Error as forward() does.
  Tensor hidden_states(const TokenBatch& batch, std::int64_t layer) const;
  // Logits [n, vocabulary] of rows of forward()'s result.
  Variable logits(const Variable& hidden) const { return linear(hidden, head_); }

 private:
  // The residual stream, hidden + update, [n, d] each. The norm that reads it makes the sum in the same pass.
  struct Stream {
    Variable hidden;
    Variable update;  // undefined where there is nothing to add

    Variable sum() const { return update.defined() ? add(hidden, update) : hidden; }
  };
  AddedAndNormed normalise(const Stream& stream, const Variable& weight) const;
  Stream block(std::int64_t layer, const Stream& stream, const TokenBatch& batch, const Attachments& attachments,
               const KvCache* cache) const;
  Stream checkpointed_block(std::int64_t layer, const Stream& stream, const TokenBatch& batch,
                            const Attachments& attachments) const;
  void check(const TokenBatch& batch) const;
  // f64 [head_dim / 2]: of the longest sequence that the batch has or, with a cache, can have.
  Tensor inverse_frequencies(const TokenBatch& batch, const KvCache* cache) const;

  LlamaConfig config_;
  TensorOptions options_;
  bool bf16_;  // products may take bf16
  std::variant<Variable, StoredMatrix> embedding_;
  std::vector<LlamaLayer> layers_;
  Variable norm_;
  LinearWeight head_;
  Tensor inverse_frequencies_;  // f64 [head_dim / 2], of sequences within max_position_embeddings
  std::vector<std::pair<std::string, Variable>> parameters_;
  struct LazyFingerprint;
  std::shared_ptr<LazyFingerprint> fingerprint_;
};

// "q_proj" and so on, of all and of one, and back. Throws Error, naming the nearest, for another name.
std::span<const std::string_view> linear_site_names();
std::string_view to_string(LinearSite site);
LinearSite parse_linear_site(std::string_view name);

}  // namespace csreft
