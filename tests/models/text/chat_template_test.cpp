#include "models/text/chat_template.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "tests/error_text.h"
#include "tests/models/text/byte_tokenizer.h"
#include "tests/temporary_folder.h"

namespace {

using csreft::find_chat_template;
using csreft::Tokenizer;
using Ids = std::vector<std::int32_t>;

// One token a byte, at 3 + byte; 0 is BOS and, with `chatml`, 1 and 2 are ChatML's tokens, 2 being EOS.
Tokenizer byte_tokenizer(bool chatml, bool add_bos) {
  csreft::TokenTable table;
  table.text = {"<s>", "<|im_start|>", "<|im_end|>"};
  table.special = {true, false, false};
  table.bos = 0;
  table.eos = 2;
  table.add_bos = add_bos;
  return byte_tokenizer_of(std::move(table), chatml ? std::vector<std::int32_t>{1, 2} : std::vector<std::int32_t>{});
}

std::string prompt(std::string_view name, std::string_view system, std::string_view instruction,
                   std::string_view input) {
  return std::get<csreft::BuiltInForm>(find_chat_template(name)->form).prompt(system, instruction, input);
}

}  // namespace

TEST_CASE("ChatML's prompt has a system message only when one is given") {
  CHECK(prompt("chatml", "", "Hi", "") == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  CHECK(prompt("chatml", "", "Add", "1 2") == "<|im_start|>user\nAdd\n1 2<|im_end|>\n<|im_start|>assistant\n");
  CHECK(prompt("chatml", "Be brief", "Hi", "") ==
        "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST_CASE("Llama 2's prompt") {
  CHECK(prompt("llama2", "", "Add", "1 2") == "[INST] Add\n1 2 [/INST]");
  CHECK(prompt("llama2", "Be brief", "Hi", "") == "[INST] <<SYS>>\nBe brief\n<</SYS>>\n\nHi [/INST]");
}

TEST_CASE("Alpaca's prompt, with and without an input") {
  CHECK(prompt("alpaca", "", "Hi", "") ==
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nHi\n\n### Response:");
  CHECK(prompt("alpaca", "", "Add", "1 2") ==
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
        "response that appropriately completes the request.\n\n"
        "### Instruction:\nAdd\n\n### Input:\n1 2\n\n### Response:");
  CHECK(prompt("alpaca", "Be brief.", "Hi", "") == "Be brief.\n\n### Instruction:\nHi\n\n### Response:");
}

TEST_CASE("no template is the instruction and its input") {
  CHECK(prompt("none", "", "Hi", "") == "Hi");
  CHECK(prompt("none", "Be brief.", "Add", "1 2") == "Be brief.\n\nAdd\n1 2");
}

TEST_CASE("braces in a text stay as they are") {
  for (const auto& chat : csreft::chat_templates()) {
    CHECK(std::get<csreft::BuiltInForm>(chat.form).prompt("", "{} {0}", "{x}").find("{} {0}") != std::string::npos);
  }
}

TEST_CASE("an unknown template is an error that suggests the known ones") {
  CHECK_THROWS_WITH_AS(find_chat_template("chat"),
                       "unknown chat template 'chat': expected one of chatml, llama2, alpaca, none", csreft::Error);
}

TEST_CASE("a model's own template is used, whatever it is; one without is a base model, or knows ChatML") {
  const auto plain = byte_tokenizer(false, true);
  const std::string jinja = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}";
  const auto own = csreft::choose_chat_template(jinja, plain);
  CHECK(own->name == "the model's own");
  CHECK(own->source == jinja);
  CHECK(csreft::choose_chat_template("", plain)->name == "alpaca");
  CHECK(csreft::choose_chat_template("", byte_tokenizer(true, false))->name == "chatml");
  CHECK(error_text([&] {
          csreft::choose_chat_template("a\n{% x %}", plain);
        }).starts_with("the chat template 'the model's own', line 2: the tag 'x' is not supported"));
}

TEST_CASE("a template in the place of the model's own is told of") {
  const std::string jinja = "{% for m in messages %}{{ m.content }}{% endfor %}";
  const auto own = csreft::choose_chat_template(jinja, byte_tokenizer(false, true));
  const auto chatml = find_chat_template("chatml");
  CHECK(csreft::replacement_note(jinja, *own).empty());
  CHECK(csreft::replacement_note("", *chatml).empty());
  CHECK(
      csreft::replacement_note(jinja, *chatml).starts_with("the chat template chatml takes the place of the model's"));
}

TEST_CASE("a template is opened by its name or its file, and made again of what it is made of") {
  const TemporaryFolder folder;
  folder.write("own.jinja", "{{ messages[0].content }}!");
  const std::string file = (folder / "own.jinja").string();
  const auto opened = csreft::open_chat_template(file, {});
  const auto restored = csreft::restore_chat_template(opened->source, {});
  const auto plain = byte_tokenizer(false, true);
  CHECK(csreft::encode_prompt(*opened, plain, "", "a", "") == Ids{3 + 'a', 3 + '!'});
  CHECK(csreft::encode_prompt(*restored, plain, "", "a", "") == Ids{3 + 'a', 3 + '!'});
  CHECK(opened->name == file);
  CHECK(csreft::open_chat_template("llama2", {})->source == "llama2");
  CHECK(csreft::restore_chat_template("llama2", {})->name == "llama2");
  CHECK(error_text([] { csreft::open_chat_template("chatlm", {}); }) ==
        "no chat template is named 'chatlm': expected one of chatml, llama2, alpaca, none, or a file");
}

TEST_CASE("a prompt starts with BOS where the tokenizer adds it, and a response ends with its template's token") {
  const auto plain = byte_tokenizer(false, true);
  const auto none = find_chat_template("none");
  CHECK(csreft::encode_prompt(*none, plain, "", "a", "") == Ids{0, 3 + 'a'});
  CHECK(csreft::encode_response(*none, plain, "b") == Ids{3 + 'b', 2});

  const auto turns = byte_tokenizer(true, false);
  const auto chatml = find_chat_template("chatml");
  const auto ids = csreft::encode_prompt(*chatml, turns, "", "a", "");
  CHECK(ids.front() == 1);
  CHECK(turns.decode(ids) == prompt("chatml", "", "a", ""));
  CHECK(csreft::encode_response(*chatml, turns, "").back() == 2);
  CHECK(csreft::stop_tokens(*chatml, turns) == Ids{2});
}

TEST_CASE("a prompt of several turns has each response as it is learnt, and its end") {
  using csreft::Message;
  const auto plain = byte_tokenizer(false, true);
  const auto turns = byte_tokenizer(true, false);
  const std::vector<Message> messages{{"system", "S"}, {"user", "a"}, {"assistant", "b"}, {"user", "c"}};
  for (const auto& chat : csreft::chat_templates()) {
    CAPTURE(chat.name);
    const auto& tokenizer = chat.name == "chatml" ? turns : plain;
    const std::vector<Message> single{messages[0], messages[1]};
    Ids first = csreft::encode_prompt(chat, tokenizer, single);
    CHECK(first == csreft::encode_prompt(chat, tokenizer, "S", "a", ""));
    for (const auto id : csreft::encode_response(chat, tokenizer, "b")) first.push_back(id);
    const auto whole = csreft::encode_prompt(chat, tokenizer, messages);
    CHECK(Ids(whole.begin(), whole.begin() + std::ssize(first)) == first);
  }
  const auto text = [&](const char* name, const Tokenizer& tokenizer) {
    auto ids = csreft::encode_prompt(*find_chat_template(name), tokenizer, messages);
    for (const auto id : csreft::encode_response(*find_chat_template(name), tokenizer, "d")) ids.push_back(id);
    return tokenizer.decode(ids, false);
  };
  CHECK(text("chatml", turns) ==
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n"
        "<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\nd<|im_end|>");
  CHECK(text("llama2", plain) ==
        "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\na [/INST]b<|im_end|><s>[INST] c [/INST]d<|im_end|>");
  CHECK(text("alpaca", plain) ==
        "<s>S\n\n### Instruction:\na\n\n### Response:b<|im_end|>\n\n### Instruction:\nc\n\n### Response:d<|im_end|>");
  CHECK(text("none", plain) == "<s>S\n\nab<|im_end|>\n\ncd<|im_end|>");
}

TEST_CASE("messages that are no turns of user and assistant are errors") {
  using csreft::Message;
  const auto plain = byte_tokenizer(false, true);
  const auto none = find_chat_template("none");
  const auto refusal = [&](const std::vector<Message>& messages) {
    return error_text([&] { csreft::encode_prompt(*none, plain, messages); });
  };
  const std::string order = "expected one system message or none, then user and assistant by turns";
  CHECK(refusal({}) == "a conversation does not end with a message of 'user': " + order);
  CHECK(refusal({{"system", "S"}}) == "a conversation does not end with a message of 'user': " + order);
  CHECK(refusal({{"user", "a"}, {"assistant", "b"}}) ==
        "a conversation does not end with a message of 'user': " + order);
  CHECK(refusal({{"user", "a"}, {"user", "b"}}) ==
        "message 2 of a conversation is of 'user', not of 'assistant': " + order);
  CHECK(refusal({{"system", "S"}, {"system", "T"}}) ==
        "message 2 of a conversation is of 'system', not of 'user': " + order);
}

TEST_CASE("generation stops at the turn's end and at EOS") {
  csreft::TokenTable table;
  table.text = {"<|endoftext|>", "<|im_end|>"};
  table.special = {true, true};
  table.eos = 0;
  const Tokenizer tokenizer(table, [](std::string_view) { return Ids{1}; });
  CHECK(csreft::stop_tokens(*find_chat_template("chatml"), tokenizer) == Ids{1, 0});
  CHECK(csreft::stop_tokens(*find_chat_template("alpaca"), tokenizer) == Ids{0});
}

TEST_CASE("a tokenizer without a template's tokens is an error") {
  const auto plain = byte_tokenizer(false, true);
  const auto chatml = find_chat_template("chatml");
  CHECK_THROWS_WITH_AS(csreft::encode_prompt(*chatml, plain, "", "a", ""), doctest::Contains("<|im_start|>"),
                       csreft::Error);
  CHECK_THROWS_WITH_AS(csreft::encode_response(*chatml, plain, "a"), doctest::Contains("<|im_end|>"), csreft::Error);
  const Tokenizer no_eos({}, [](std::string_view) { return Ids{}; });
  CHECK_THROWS_WITH_AS(csreft::encode_response(*find_chat_template("none"), no_eos, "a"), doctest::Contains("EOS"),
                       csreft::Error);
}
