// A conversation with a model: its turns, and answers that are shown while they come.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "models/language_model.h"
#include "models/llama/generate.h"

namespace csreft {

// What to do with each part of a text that is whole: characters, never half of one.
using OnText = std::function<void(std::string_view text)>;

// Prints on stdout, at once.
void print_text(std::string_view text);

// Generates the answer to one prompt until interrupted(), and tells `on_text` of it as it comes. `stream`: of the seed.
// Returns the text. Throws Error as generate() does.
std::string stream_answer(const LanguageModel& model, const std::vector<std::int32_t>& prompt,
                          const GenerationOptions& options, const GenerationAttachments& attachments,
                          const OnText& on_text, std::uint64_t stream = 0);

class Conversation {
 public:
  // An empty system message is none.
  explicit Conversation(std::string system = {}) : system_(std::move(system)) {}

  struct Prompt {
    std::vector<std::int32_t> ids;
    std::size_t left_out;  // turns, a question and its answer each, that were forgotten to make room
  };
  // The prompt that `text` makes after what was said, in at most `room` tokens: the oldest turns are forgotten. Throws
  // Error, and forgets nothing, for a text that has no room by itself.
  Prompt ask(const LanguageModel& model, const std::string& text, std::int64_t room);
  // The answer to the latest ask().
  void answer(std::string text) { turns_.push_back({"assistant", std::move(text)}); }
  // Starts anew.
  void reset() { turns_.clear(); }
  void reset(std::string system);

 private:
  // With the turns from `first` on.
  std::vector<std::int32_t> encode(const LanguageModel& model, std::size_t first) const;

  std::string system_;
  std::vector<Message> turns_;
};

}  // namespace csreft
