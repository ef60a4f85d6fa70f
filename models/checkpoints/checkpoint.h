// A base model on disk, whatever its format: what it is, how its tokenizer is built, and its tensors one by one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/tensor/stored_matrix.h"
#include "core/tensor/tensor.h"
#include "models/llama/llama_config.h"

namespace csreft {

// A folder with tokenizer.json or tokenizer.model.
struct TokenizerFolder {
  std::filesystem::path path;
};

// llama2.c's tokenizer.bin, a SentencePiece tokenizer.model or a tokenizer.json. Opening the checkpoint does not look
// into it.
struct TokenizerFile {
  std::filesystem::path path;
};

// A vocabulary that lies in the checkpoint itself: GGUF's `tokenizer.ggml.*`, unchanged.
struct TokenizerVocabulary {
  // "gpt2": byte-level BPE by `merges`; "llama": SentencePiece's BPE by `scores`.
  std::string model;
  // How "gpt2" splits text before merging ("smollm", "llama-bpe", ...); "default" where the file has none.
  std::string pre;
  std::vector<std::string> tokens;
  // "left right", the first merged first; empty for "llama".
  std::vector<std::string> merges;
  // One per token; empty where the file has none.
  std::vector<float> scores;
  // One per token: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte; empty where the file has none.
  std::vector<std::int32_t> types;
  std::optional<std::int32_t> bos_id, eos_id;
  // What the file says; nothing where it is silent.
  std::optional<bool> add_bos, add_space_prefix;
};

using TokenizerSource = std::variant<TokenizerFolder, TokenizerFile, TokenizerVocabulary>;

struct Checkpoint {
  // The folder's or the file's own name, for display and as the base model's name in adapters.
  std::string name;
  std::filesystem::path path;
  LlamaConfig config;
  // Jinja, as the model's authors wrote it; empty where there is none.
  std::string chat_template;
  // Why the files' template cannot be told, for whoever needs it; empty where it can.
  std::string chat_template_failure;
  TokenizerSource tokenizer;
  // What a user should be told of its files, a line each.
  std::vector<std::string> notes;

  // Every tensor of the checkpoint that has a Hugging Face name, with its shape; others keep their own name.
  std::map<std::string, Shape> shapes;
  // Reads one of them as f32, with Hugging Face's order of rows. Use tensor().
  std::function<Tensor(const std::string&)> read;
  // The matrices that are stored in another form than f32, with their bytes, and how to read one of them as it is
  // stored. Use stored().
  std::map<std::string, std::int64_t> stored_bytes;
  std::function<StoredMatrix(const std::string&)> read_stored;
  // How many bytes of its tensors are copied where they are read, in the form in which the model keeps them: to put
  // rows in order, or because they cannot stay as they are stored.
  std::int64_t copied_bytes = 0;
  // What the names of the network's own tensors begin with; others are heads of other tasks, or a file's own.
  std::vector<std::string_view> network_prefixes{"model.", "lm_head."};
  // Whether the weights are drawn for a measurement, where no file has them: their model has no fingerprint, which
  // takes them to the host.
  bool is_drawn = false;

  // One of parameter_shapes(config) as f32, read from the file at each call. It may be a read-only view of the file:
  // whoever trains it clones it first. The order of q and k rows is Hugging Face's: rotation pairs row i of a head with
  // row i + head_dim / 2. Throws Error for a name that the checkpoint does not hold.
  Tensor tensor(const std::string& name) const;
  // The same as the file stores it, if it is a matrix in another form than f32: it takes no memory beside the mapped
  // file, but for what copied_bytes counts.
  std::optional<StoredMatrix> stored(const std::string& name) const;
};

// Throws Error unless the checkpoint holds every parameter of its config in the right shape, and nothing of the network
// that the config does not describe (a bias, a further block); buffers that follow from the config, and heads of other
// tasks, are passed over.
void check_complete(const Checkpoint& checkpoint);

// The tensors that are passed over although they do not follow from the config: the heads of other tasks.
std::vector<std::string> passed_over(const Checkpoint& checkpoint);

// Meta's order of q and k rows (GGUF, llama2.c) rotates rows 2i and 2i + 1 of a head together. The row of such a
// matrix, or the element of its bias, that is row `row` of Hugging Face's; and whether a parameter is such a one.
std::int64_t interleaved_row(std::int64_t row, std::int64_t head_dim);
bool is_rotated(const std::string& name);

}  // namespace csreft
