#include "models/language_model.h"

#include <algorithm>

#include "core/base/memory.h"
#include "models/checkpoints/open_checkpoint.h"
#include "models/llama/memory_needs.h"
#include "models/text/chat_template_files.h"
#include "models/text/gguf_tokenizer.h"
#include "models/text/llama2c_tokenizer.h"
#include "models/text/load_tokenizer.h"
#include "models/text/sentencepiece_tokenizer.h"

namespace csreft {
namespace {

Tokenizer load_tokenizer_file(const std::filesystem::path& file, const LlamaConfig& config) {
  if (file.extension() == ".model") return load_sentencepiece(file);
  if (file.extension() == ".json") return load_tokenizer_json(file);
  return load_llama2c_tokenizer(file, static_cast<std::int32_t>(config.vocab_size));
}

// What the files name, and BOS and EOS of the tokenizer where they are silent.
SpecialTokens special_tokens_of(const Checkpoint& checkpoint, const Tokenizer& tokenizer) {
  SpecialTokens tokens;
  if (const auto* folder = std::get_if<TokenizerFolder>(&checkpoint.tokenizer)) {
    tokens = read_special_tokens(folder->path);
  }
  if (tokenizer.bos()) tokens.emplace("bos_token", tokenizer.bytes(*tokenizer.bos()));
  if (tokenizer.eos()) tokens.emplace("eos_token", tokenizer.bytes(*tokenizer.eos()));
  return tokens;
}

std::vector<std::string> notes_of(const Checkpoint& checkpoint, const Tokenizer& tokenizer) {
  auto notes = checkpoint.notes;
  notes.insert(notes.end(), tokenizer.notes().begin(), tokenizer.notes().end());
  const auto names = passed_over(checkpoint);
  if (names.empty()) return notes;
  notes.push_back(
      fmt::format("{} tensor(s) of {} have no part in the next token and are not read, {} the first of them",
                  names.size(), checkpoint.path.string(), names.front()));
  return notes;
}

// `name`: that of a template or a file of one; empty: the one that the model's files call for.
std::shared_ptr<const ChatTemplate> chat_template_of(const Checkpoint& checkpoint, std::string_view name,
                                                     const Tokenizer& tokenizer, const SpecialTokens& special_tokens) {
  if (!name.empty()) return open_chat_template(std::string(name), special_tokens);
  require(checkpoint.chat_template_failure.empty(), "{}", checkpoint.chat_template_failure);
  return choose_chat_template(checkpoint.chat_template, tokenizer, special_tokens);
}

// What to tell of a template that choose_chat_template() has guessed for files that have none.
std::string guess_note(const ChatTemplate& guessed) {
  return fmt::format(
      "the model's files have no chat template: prompts have the form of {}, {}; --chat-template names another",
      guessed.name, guessed.name == "chatml" ? "whose tokens its tokenizer has" : "as for a base model");
}

std::string template_note(const Checkpoint& checkpoint, const ChatTemplate& chosen) {
  return checkpoint.chat_template.empty() ? guess_note(chosen) : replacement_note(checkpoint.chat_template, chosen);
}

}  // namespace

Tokenizer load_tokenizer(const Checkpoint& checkpoint) {
  const auto load = [&]<typename Source>(const Source& source) {
    if constexpr (std::is_same_v<Source, TokenizerFolder>) return load_tokenizer(source.path);
    if constexpr (std::is_same_v<Source, TokenizerFile>) return load_tokenizer_file(source.path, checkpoint.config);
    if constexpr (std::is_same_v<Source, TokenizerVocabulary>)
      return make_gguf_tokenizer(source, checkpoint.path.string());
  };
  const Tokenizer tokenizer = std::visit(load, checkpoint.tokenizer);
  return tokenizer.padded_to(static_cast<std::size_t>(checkpoint.config.vocab_size));
}

LanguageModel load_language_model(const std::filesystem::path& path, std::string_view chat_template, Weights weights,
                                  const Device& device) {
  const Checkpoint checkpoint = open_checkpoint(path);
  require_memory(fmt::format("loading {}", checkpoint.path.string()), weight_bytes(checkpoint, weights, device),
                 weights == Weights::trainable ? "a method that leaves the weights frozen (loreft, csreft, lora), or a "
                                                 "smaller model"
                                               : "its weights in bf16 or as a quantised GGUF, or a smaller model");
  Tokenizer tokenizer = load_tokenizer(checkpoint);
  SpecialTokens special_tokens = special_tokens_of(checkpoint, tokenizer);
  auto chat = chat_template_of(checkpoint, chat_template, tokenizer, special_tokens);
  auto note = chat_template.empty() ? template_note(checkpoint, *chat) : "";
  auto notes = notes_of(checkpoint, tokenizer);
  return {checkpoint.name,
          path,
          Llama(checkpoint, weights, {DType::f32, device}),
          std::move(tokenizer),
          std::move(chat),
          std::move(special_tokens),
          std::move(notes),
          std::move(note)};
}

std::vector<std::int32_t> stop_tokens(const LanguageModel& model) {
  auto stops = stop_tokens(*model.chat, model.tokenizer);
  for (const auto id : model.llama.config().eos_token_ids) {
    if (std::ranges::find(stops, id) == stops.end()) stops.push_back(id);
  }
  return stops;
}

}  // namespace csreft
