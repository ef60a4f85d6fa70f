// What the response of an example is, in every format that may have earlier turns.
#include <string>

#include <doctest/doctest.h>

#include "experiments/tasks/read.h"
#include "tests/error_text.h"

namespace {

using csreft::Example;
using csreft::Outputs;

csreft::FileTasks read(const std::string& element, Outputs outputs = Outputs::required) {
  return csreft::read_tasks("[" + element + R"(, {"instruction": "other", "output": "red", "choices": ["red", "blue"],
      "answer": "red"}])",
                            "name", "file.json", {.outputs = outputs});
}

// The first of two examples.
Example example(const std::string& element, Outputs outputs = Outputs::required) {
  const auto file = read(element, outputs);
  REQUIRE(file.tasks.front().examples.size() == 2);
  return file.tasks.front().examples.front();
}

std::string error_of(const std::string& element) {
  return error_text([&] { return read(element).tasks.size(); });
}

// "user: a / assistant: b"
std::string history_text(const Example& e) {
  std::string text;
  for (const auto& [role, content] : e.history)
    text += fmt::format("{}{}: {}", text.empty() ? "" : " / ", role, content);
  return text;
}

// "user: a / assistant: b" as messages.
std::string messages(const std::string& text) {
  std::string list;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(" / ", begin), text.size()), colon = text.find(": ", begin);
    list += (list.empty() ? "" : ", ") + (R"({"role": ")" + text.substr(begin, colon - begin)) + R"(", "content": ")" +
            text.substr(colon + 2, end - colon - 2) + "\"}";
    begin = end + 3;
  }
  return "[" + list + "]";
}

const std::string choices = R"("choices": ["red", "blue"], "answer": "blue")";

}  // namespace

TEST_CASE("an answer among choices is the response to the question that waits for one, in every format") {
  const std::string conversation = messages("system: s / user: first / assistant: red / user: second");
  const std::string sharegpt = R"([{"from": "system", "value": "s"}, {"from": "human", "value": "first"},
      {"from": "gpt", "value": "red"}, {"from": "human", "value": "second"}])";
  const std::string elements[] = {
      R"({"messages": )" + conversation + ", " + choices + "}",
      R"({"conversations": )" + sharegpt + ", " + choices + "}",
      R"({"prompt": )" + conversation + ", " + choices + "}",
      R"({"prompt": )" + conversation + R"(, "completion": [], )" + choices + "}",
      R"({"prompt": )" + conversation + R"(, "completion": )" + messages("assistant:  ") + ", " + choices + "}",
      R"({"instruction": "second", "system": "s", "history": [["first", "red"]], )" + choices + "}",
      R"({"instruction": "second", "output": " ", "system": "s", "history": [["first", "red"]], )" + choices + "}"};
  for (const auto& element : elements) {
    CAPTURE(element);
    const Example e = example(element);
    CHECK(e.system == "s");
    CHECK(history_text(e) == "user: first / assistant: red");
    CHECK(e.instruction == "second");
    CHECK(e.output == "blue");
    CHECK(e.answer == "blue");
  }
  // A response that is there is the response.
  const Example e = example(R"({"messages": )" + messages("user: q / assistant: it is blue") + ", " + choices + "}");
  CHECK(e.instruction == "q");
  CHECK(e.output == "it is blue");
  CHECK(contains(error_of(R"({"prompt": )" + messages("user: q / assistant: red") + ", " + choices + "}"),
                 "the prompt of element 0 of file.json ends with the assistant's message"));
}

TEST_CASE("an answer to a question that no response follows is refused") {
  const std::string element =
      R"({"messages": )" + messages("user: q1 / assistant: red / user: q2") + R"(, "answer": "blue"})";
  CHECK(contains(error_of(element), "the answer in element 0 of file.json is to a question behind the last response"));
  CHECK(example(element, Outputs::optional).instruction == "q2");
}

TEST_CASE("a blank response is none, and no earlier one takes its place") {
  const std::string earlier = "user: q1 / assistant: a1 is this / user: q2";
  for (const std::string& element :
       {R"({"instruction": "q2", "output": " ", "history": [["q1", "a1 is this"]]})" + std::string(),
        R"({"instruction": "q2", "output": "", "history": [["q1", "a1 is this"]]})" + std::string(),
        R"({"instruction": "q2", "output": NaN, "history": [["q1", "a1 is this"]]})" + std::string(),
        R"({"messages": )" + messages(earlier + " / assistant: \\n") + "}",
        R"({"prompt": )" + messages(earlier) + R"(, "completion": )" + messages("assistant: ") + "}",
        R"({"prompt": )" + messages(earlier) + R"(, "completion": [{"role": "assistant", "content": null}]})",
        R"({"prompt": )" + messages(earlier) + R"(, "completion": ""})",
        R"({"prompt": )" + messages("user: q1 / assistant: a1") + R"(, "completion": []})"}) {
    CAPTURE(element);
    const auto task = read(element).tasks.front();
    CHECK(task.examples.size() == 1);
    CHECK(task.skipped.without_response == 1);
    CHECK(task.skipped.total() == 1);
  }
}

TEST_CASE("a message's weight or train says whether it is learnt") {
  const auto conversation = [](const std::string& first, const std::string& second) {
    return R"({"messages": [{"role": "user", "content": "q1"}, {"role": "assistant", "content": "a1")" + first +
           R"(}, {"role": "user", "content": "q2", "weight": 0}, {"role": "assistant", "content": "a2")" + second +
           "}]}";
  };
  const auto only = [](const std::string& element) {
    return csreft::read_tasks("[" + element + "]", "name", "file.json", {}).tasks.front().examples.front();
  };
  for (const char* no : {R"(, "weight": 0)", R"(, "weight": 0.0)", R"(, "train": false)", R"(, "train": "false")"}) {
    CAPTURE(no);
    const Example context = only(conversation(no, ""));
    CHECK(context.not_learnt == std::vector<std::size_t>{1});
    CHECK(context.output == "a2");
    // A conversation ends with its last response that is learnt.
    const Example cut = only(conversation("", no));
    CHECK(cut.instruction == "q1");
    CHECK(cut.output == "a1");
    CHECK(cut.history.empty());
    CHECK(cut.not_learnt.empty());
    CHECK(contains(error_text([&] { return only(conversation(no, no)).output.size(); }), "1 without a response"));
  }
  for (const char* yes : {R"(, "weight": 1)", R"(, "train": true, "weight": null)", R"(, "weight": NaN)", ""}) {
    CAPTURE(yes);
    const Example whole = only(conversation(yes, yes));
    CHECK(whole.not_learnt.empty());
    CHECK(whole.output == "a2");
  }
  CHECK(contains(error_text([&] { return only(conversation(R"(, "weight": 0.5)", "")).output.size(); }),
                 "\"weight\" of message 1 in element 0 of file.json is 0.5: expected 0 or 1"));
  csreft::Task learnt{.name = "t", .examples = {only(conversation("", ""))}},
      context{.name = "t", .examples = {only(conversation(R"(, "weight": 0)", ""))}};
  CHECK(content_hash(learnt) != content_hash(context));
}

TEST_CASE("keys of messages that nobody reads are named once") {
  const auto file = csreft::read_tasks(
      R"([{"messages": [{"role": "user", "content": "a", "name": "x"}, {"role": "assistant", "content": "b", "id": 1,
          "weight": 1, "tool_calls": null}]},
          {"messages": [{"role": "user", "content": "a", "name": "y"}, {"role": "assistant", "content": "b"}]}])",
      "name", "file.json", {});
  REQUIRE(file.notes.size() == 1);
  CHECK(file.notes[0] == "file.json: of messages, the keys id, name are not read");
}
