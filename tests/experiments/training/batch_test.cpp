#include "experiments/training/batch.h"

#include <filesystem>
#include <string>

#include <doctest/doctest.h>

#include "tests/error_text.h"
#include "tests/source.h"
#include "tests/tiny_chat.h"

namespace {

using csreft::encode_turns;
using csreft::Example;
using csreft::LossOn;
using Ids = std::vector<std::int32_t>;

const csreft::LanguageModel& model() {
  static const TinyChat chat;
  static const csreft::LanguageModel loaded = chat.load();
  return loaded;
}

// Two turns.
Example conversation() {
  return {.instruction = "c",
          .input = "",
          .output = "d",
          .answer = {},
          .dataset = "",
          .system = "s",
          .history = {{"user", "a"}, {"assistant", "b"}}};
}

std::string text_of(std::span<const std::int32_t> ids) {
  std::string text;
  for (const auto id : ids) text += model().tokenizer.bytes(id);
  return text;
}

std::string prompt_text(const csreft::EncodedExample& e) { return text_of(csreft::prompt_of(e)); }
std::string response_text(const csreft::EncodedExample& e) {
  return text_of(std::span(e.ids).subspan(static_cast<std::size_t>(e.prompt_length)));
}

}  // namespace

TEST_CASE("each turn of a conversation is learnt behind the prompt that it is the answer to") {
  const std::string first = "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n";
  const std::string second = first + "b<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n";
  const auto turns = encode_turns(model(), conversation(), "not this", 512, LossOn::all);
  REQUIRE(turns.size() == 2);
  CHECK(prompt_text(turns[0]) == first);
  CHECK(response_text(turns[0]) == "b<|im_end|>");
  CHECK(prompt_text(turns[1]) == second);
  CHECK(response_text(turns[1]) == "d<|im_end|>");
  const auto last = encode_turns(model(), conversation(), "", 512, LossOn::last);
  REQUIRE(last.size() == 1);
  CHECK(last[0].ids == turns[1].ids);
  // What is scored and answered is the last turn.
  const csreft::Task task{.name = "t", .examples = {conversation()}};
  CHECK(csreft::encode_example(model(), task, 0, "", 512).ids == turns[1].ids);
  CHECK(csreft::encode_prompts(model(), task.examples, "").front() == csreft::prompt_of(turns[1]));
}

TEST_CASE("a turn that is not learnt is context for those behind it") {
  const auto whole = encode_turns(model(), conversation(), "", 512, LossOn::all);
  Example e = conversation();
  e.not_learnt = {1};
  const auto turns = encode_turns(model(), e, "", 512, LossOn::all);
  REQUIRE(turns.size() == 1);
  CHECK(turns[0].ids == whole[1].ids);
  CHECK(turns[0].prompt_length == whole[1].prompt_length);
}

TEST_CASE("one turn is encoded as ever, with the system message of the example before that of all") {
  Example e{.instruction = "c", .input = "i", .output = "d", .answer = {}, .dataset = ""};
  const auto ids = [&](std::string_view system) {
    Ids expected = csreft::encode_prompt(*model().chat, model().tokenizer, system, "c", "i");
    const Ids response = csreft::encode_response(*model().chat, model().tokenizer, "d");
    expected.insert(expected.end(), response.begin(), response.end());
    return expected;
  };
  CHECK(encode_turns(model(), e, "all", 512, LossOn::all).front().ids == ids("all"));
  e.system = "own";
  CHECK(encode_turns(model(), e, "all", 512, LossOn::all).front().ids == ids("own"));
}

TEST_CASE("every family's template gives examples that are learnt behind the prompt they answer") {
  const TinyChat chat;
  auto config = chat.config;
  config["max_position_embeddings"] = 2048;
  chat.write_config(config);
  chat.write("tokenizer_config.json", R"({"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"})");
  std::size_t n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(source("tests/golden_texts/chat_templates"))) {
    if (entry.path().extension() != ".jinja") continue;
    CAPTURE(entry.path().string());
    const auto own = csreft::load_language_model(chat.path(), entry.path().string());
    Example e = conversation();
    e.system = "";
    e.history[1].content = "xj";
    e.output = "zq";
    const auto turns = encode_turns(own, e, "", 2048, LossOn::all);
    REQUIRE(turns.size() == 2);
    CHECK(csreft::prompt_of(turns[1]) == csreft::encode_prompts(own, std::span(&e, 1), "").front());
    CHECK(contains(response_text(turns[0]), "xj"));
    CHECK(contains(response_text(turns[1]), "zq"));
    ++n;
  }
  CHECK(n >= 22);
}

TEST_CASE("turns without room are left out; a prompt alone is no example") {
  const auto whole = encode_turns(model(), conversation(), "", 512, LossOn::all);
  const auto first_prompt = whole[0].prompt_length, second_prompt = whole[1].prompt_length;
  const auto turns = encode_turns(model(), conversation(), "", second_prompt, LossOn::all);
  REQUIRE(turns.size() == 1);
  CHECK(turns[0].cut);
  CHECK(turns[0].ids == whole[0].ids);
  const auto cut = encode_turns(model(), conversation(), "", second_prompt + 1, LossOn::all);
  REQUIRE(cut.size() == 2);
  CHECK(cut[1].cut);
  CHECK(response_text(cut[1]) == "d");
  CHECK(encode_turns(model(), conversation(), "", first_prompt, LossOn::all).empty());
  CHECK(encode_turns(model(), conversation(), "", second_prompt, LossOn::last).empty());
}

TEST_CASE("a text is learnt but for its first token") {
  const Example text{
      .instruction = "", .input = "", .output = "once<|im_start|>", .answer = {}, .dataset = "", .is_text = true};
  const auto turns = encode_turns(model(), text, "s", 512, LossOn::all);
  REQUIRE(turns.size() == 1);
  CHECK(turns[0].prompt_length == 1);
  CHECK(text_of(turns[0].ids) == "once<|im_start|>");  // the tokenizer names neither BOS nor EOS
}

TEST_CASE("of tests, prompts that the context cannot hold are skipped among the first that are asked for") {
  csreft::Task task = letter_task(6);
  task.examples[0].instruction = std::string(200, 'x');
  task.examples[5].instruction = std::string(200, 'x');
  csreft::Task all = task;
  csreft::skip_too_long(model(), all, "");
  CHECK(all.examples.size() == 4);
  CHECK(all.skipped.too_long == 2);
  csreft::skip_too_long(model(), task, "", 2);
  CHECK(task.skipped.too_long == 1);
  CHECK(task.examples.size() == 5);
  CHECK(task.examples[0].instruction == letter_task(6).examples[1].instruction);
  csreft::Task none{.name = "none", .examples = {task.examples[4]}};
  CHECK(contains(error_text([&] {
                   csreft::skip_too_long(model(), none, "");
                   return 0;
                 }),
                 "none: no example can be used, skipped 1 of 1: 1 too long: expected prompts of fewer tokens than the "
                 "model's context of 160"));
}
