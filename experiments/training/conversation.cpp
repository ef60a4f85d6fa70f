#include "experiments/training/conversation.h"

#include <cstdio>

#include "experiments/cli/progress.h"

namespace csreft {

void print_text(std::string_view text) {
  fmt::print("{}", text);
  std::fflush(stdout);
}

std::string stream_answer(const LanguageModel& model, const std::vector<std::int32_t>& prompt,
                          const GenerationOptions& options, const GenerationAttachments& attachments,
                          const OnText& on_text, std::uint64_t stream) {
  IncrementalDecoder decoder(model.tokenizer);
  std::string answer;
  const auto tell = [&](const std::string& text) {
    answer += text;
    if (!text.empty()) on_text(text);
  };
  const std::vector<std::vector<std::int32_t>> prompts{prompt};
  generate(
      model.llama, prompts, options, attachments,
      [&](std::size_t, std::int32_t token) {
        tell(decoder.push(token));
        return !interrupted();
      },
      stream);
  tell(decoder.finish());
  return answer;
}

std::vector<std::int32_t> Conversation::encode(const LanguageModel& model, std::size_t first) const {
  std::vector<Message> messages;
  if (!system_.empty()) messages.push_back({"system", system_});
  messages.insert(messages.end(), turns_.begin() + static_cast<std::ptrdiff_t>(first), turns_.end());
  return encode_prompt(*model.chat, model.tokenizer, messages);
}

Conversation::Prompt Conversation::ask(const LanguageModel& model, const std::string& text, std::int64_t room) {
  turns_.push_back({"user", text});
  try {
    std::size_t first = 0;
    auto ids = encode(model, first);
    while (std::ssize(ids) > room && first + 2 < turns_.size()) ids = encode(model, first += 2);
    require(std::ssize(ids) <= room, "the message makes a prompt of {} tokens: expected at most {}", ids.size(), room);
    turns_.erase(turns_.begin(), turns_.begin() + static_cast<std::ptrdiff_t>(first));
    return {std::move(ids), first / 2};
  } catch (const Error&) {
    turns_.pop_back();
    throw;
  }
}

void Conversation::reset(std::string system) {
  system_ = std::move(system);
  reset();
}

}  // namespace csreft
