#include "experiments/training/conversation.h"

#include <doctest/doctest.h>

#include "tests/error_text.h"
#include "tests/tiny_chat.h"

namespace {

using csreft::Conversation;
using csreft::Message;

std::vector<std::int32_t> encoded(const csreft::LanguageModel& model, const std::vector<Message>& messages) {
  return csreft::encode_prompt(*model.chat, model.tokenizer, messages);
}

}  // namespace

TEST_CASE("a conversation's prompt holds the system message and all turns") {
  const auto model = TinyChat().load();
  Conversation talk("be brief");
  CHECK(talk.ask(model, "one", 160).ids == encoded(model, {{"system", "be brief"}, {"user", "one"}}));
  talk.answer("first");
  const auto second = talk.ask(model, "two", 160);
  CHECK(second.left_out == 0);
  CHECK(second.ids ==
        encoded(model, {{"system", "be brief"}, {"user", "one"}, {"assistant", "first"}, {"user", "two"}}));
  talk.answer("second");
  talk.reset("");
  CHECK(talk.ask(model, "three", 160).ids == encoded(model, {{"user", "three"}}));
}

TEST_CASE("the oldest turns are forgotten where the room does not hold all, and the system message stays") {
  const auto model = TinyChat().load();
  Conversation talk("s");
  for (const char* text : {"one", "two"}) {
    talk.ask(model, text, 160);
    talk.answer("answer");
  }
  const std::vector<Message> last{{"system", "s"}, {"user", "two"}, {"assistant", "answer"}, {"user", "three"}};
  const auto room = std::ssize(encoded(model, last));
  const auto prompt = talk.ask(model, "three", room);
  CHECK(prompt.left_out == 1);
  CHECK(prompt.ids == encoded(model, last));
  talk.answer("answer");
  // What was forgotten stays forgotten.
  CHECK(talk.ask(model, "four", 160).ids ==
        encoded(model, {last[0], last[1], last[2], last[3], {"assistant", "answer"}, {"user", "four"}}));
}

TEST_CASE("a message that has no room by itself is refused, and nothing is forgotten") {
  const auto model = TinyChat().load();
  Conversation talk;
  talk.ask(model, "one", 160);
  talk.answer("first");
  CHECK(contains(error_text([&] { return talk.ask(model, std::string(200, 'x'), 160).left_out; }),
                 "expected at most 160"));
  CHECK(talk.ask(model, "two", 160).ids == encoded(model, {{"user", "one"}, {"assistant", "first"}, {"user", "two"}}));
}

TEST_CASE("an answer comes in whole characters, which are the text that is returned") {
  const auto model = TinyChat().load();
  csreft::GenerationOptions options;
  options.max_new_tokens = 40;
  std::string shown;
  const auto prompt = encoded(model, {{"user", "one"}});
  const auto answer =
      csreft::stream_answer(model, prompt, options, {}, [&shown](std::string_view part) { shown += part; });
  const std::vector<std::vector<std::int32_t>> prompts{prompt};
  CHECK(answer == model.tokenizer.decode(csreft::generate(model.llama, prompts, options).front()));
  CHECK(shown == answer);
}
