#include "experiments/tasks/read.h"

#include <string>

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace {

using csreft::DataReading;
using csreft::Example;
using csreft::Outputs;
using csreft::Task;

csreft::FileTasks read(const std::string& text, const DataReading& reading = {}) {
  return csreft::read_tasks(text, "name", "file.json", reading);
}

std::vector<Example> examples(const std::string& text, const DataReading& reading = {}) {
  return read(text, reading).tasks.front().examples;
}

Example example(const std::string& text, const DataReading& reading = {}) { return examples(text, reading).front(); }

std::string error_of(const std::string& text, const DataReading& reading = {}) {
  return error_text([&] { return read(text, reading).tasks.size(); });
}

// "user: a / assistant: b"
std::string history_text(const Example& e) {
  std::string text;
  for (const auto& [role, content] : e.history)
    text += fmt::format("{}{}: {}", text.empty() ? "" : " / ", role, content);
  return text;
}

const std::string good = R"({"instruction": "a", "output": "b"})";

}  // namespace

TEST_CASE("a task is read from a JSON list and named after its file") {
  const TemporaryFolder folder;
  const auto file =
      folder.write("colours.train.json", R"([{"instruction": "sky?", "input": "day", "output": "it is blue",
    "answer": "blue"}, {"instruction": "grass?", "input": "", "output": "it is green", "answer": "green"}])");
  const Task task = csreft::load_task(file);
  CHECK(task.name == "colours.train");
  REQUIRE(task.examples.size() == 2);
  CHECK(task.examples[0].input == "day");
  CHECK(task.examples[0].answer == "blue");
  CHECK(csreft::has_answers(task));
}

TEST_CASE("a task is read from JSON lines with blank lines, CRLF, a byte-order mark and no last line break") {
  const std::string lines =
      "\xef\xbb\xbf{\"instruction\": \"sky?\", \"output\": \"blue\", \"dataset\": \"d\", \"generator\": \"g\"}\r\n"
      "\r\n  {\"instruction\": \"grass?\", \"output\": \"green\"}";
  const auto file = read(lines);
  REQUIRE(file.tasks.size() == 1);
  REQUIRE(file.tasks[0].examples.size() == 2);
  CHECK(file.tasks[0].examples[0].dataset == "d");
  CHECK(file.tasks[0].examples[0].input.empty());
  CHECK(file.tasks[0].examples[1].output == "green");
  CHECK(file.notes.empty());
}

TEST_CASE("an object with one list of examples is that list, and an object by itself is one example") {
  CHECK(examples("{\"version\": [1, 2], \"data\": [" + good + "," + good + "]}").size() == 2);
  CHECK(examples("{\n\"train\": [\n" + good + "]\n}\n").size() == 1);
  CHECK(examples("{\n\"instruction\": \"a\",\n\"output\": \"b\"}").front().output == "b");
  CHECK(contains(error_of("{\"train\": [" + good + "], \"test\": [" + good + "]}"), "two lists of examples"));
}

TEST_CASE("a bad file is an error that says where") {
  CHECK_THROWS_AS(csreft::load_task("/no/such/file.json"), csreft::Error);
  CHECK(contains(error_of("[{\"instruction\": \"a\",\n \"output\": \"b"), "line 2"));
  CHECK(contains(error_of("[{\"instruction\": \"a\",\n \"output\": \"b"), "the text ends here"));
  CHECK(contains(error_of(good + "\n{\"instruction\""), "line 2"));
  CHECK(contains(error_of(good + good), "broken JSON in file.json, line 1, column 36"));
  CHECK(contains(error_of("3"), "holds a number: expected a list"));
  for (const char* empty : {"", " \n", "[]", "{\"data\": []}", "\xef\xbb\xbf"}) {
    CHECK(contains(error_of(empty), "no examples"));
  }
  CHECK(contains(error_of("[3]"), "element 0 of file.json is a number"));
  CHECK(contains(error_of("[" + good + ", [1]]"), "element 1 of file.json is a list"));
  CHECK(contains(error_of("[" + good + R"(, {"output": "a"}])"),
                 "no \"instruction\" in element 1 of file.json, which has the keys output"));
  CHECK(contains(error_of(R"([{"instruction": "a"}])"), "no \"output\" in element 0 of file.json"));
  CHECK(contains(error_of(R"([{"instruction": "a", "output": ["b"]}])"),
                 "\"output\" in element 0 of file.json is a list"));
  CHECK(contains(error_of("[{\"instruction\": \"\xff\", \"output\": \"b\"}]"), "a byte that is not UTF-8"));
  CHECK(contains(error_of("[{\"instruction\": \"a\", \"output\": 1e999}]"), "out of range"));
  CHECK(contains(error_of(std::string(100, '[')), "nested more than 64 deep"));
  CHECK(contains(error_of("[{\"adapter\": \"x\", " + good.substr(1) + "]"), "\"adapter\" in element 0"));
}

TEST_CASE("files of other kinds are refused with what makes them readable") {
  CHECK(
      contains(error_of("PAR1\x15"), "is Parquet: expected JSON, as python3 -c \"import pandas; pandas.read_parquet("));
  CHECK(contains(error_of("ARROW1"), "is Arrow"));
  CHECK(contains(error_of("\xff\xff\xff\xff\x10"), "is Arrow"));
  CHECK(contains(error_of("\xff\xfe[\x00"), "is UTF-16"));
  CHECK(contains(error_of("\x28\xb5\x2f\xfd"), "zstd -d"));
  CHECK(contains(error_of("BZh9"), "bunzip2"));
  CHECK(contains(error_of("version https://git-lfs.github.com/spec/v1\n"), "is a git-lfs pointer"));
  const auto csv = [] { return csreft::read_tasks("instruction,output\na,b\n", "n", "a.CSV", {}).tasks.size(); };
  CHECK(contains(error_text(csv),
                 "a.CSV is CSV: expected JSON, as python3 -c \"import pandas; pandas.read_csv('a.CSV')"));
  const auto packed = [] { return csreft::read_tasks("instruction,output\na,b\n", "n", "a.csv.gz", {}).tasks.size(); };
  CHECK(
      contains(error_text(packed), "a.csv.gz is CSV: expected JSON, as python3 -c \"import pandas; pandas.read_csv("));
}

TEST_CASE("what is not there is empty, and numbers are text as they were written") {
  const auto e = example(R"([{"instruction": 12345678901234567890123, "input": null, "output": true, "answer": 3}])");
  CHECK(e.instruction == "12345678901234567890123");
  CHECK(e.input.empty());
  CHECK(e.output == "true");
  CHECK(e.answer == "3");
  for (const auto& [number, text] : {std::pair{"-7", "-7"},
                                     {"18446744073709551615", "18446744073709551615"},
                                     {"2.50", "2.50"},
                                     {"1e3", "1e3"},
                                     {"3.0", "3"},
                                     {"-0.25", "-0.25"}}) {
    CHECK(example("[{\"instruction\": \"a\", \"output\": " + std::string(number) + "}]").output == text);
  }
  for (const char* nothing : {"NaN", "Infinity", "-Infinity", "null", "\"\""}) {
    CHECK(
        example("[{\"instruction\": \"a NaN\", \"input\": " + std::string(nothing) + ", \"output\": \"NaN, \\\"NaN\"}]")
            .input.empty());
  }
  CHECK(example(R"([{"instruction": "a", "input": NaN, "output": "NaN"}])").output == "NaN");
  // Of lists, too, and where another format's column has none.
  for (const char* nothing : {"NaN", "Infinity", "-Infinity", "null", "\"\"", "\" \""}) {
    CAPTURE(nothing);
    const std::string none(nothing);
    CHECK(example(R"([{"instruction": "a", "output": "b", "history": )" + none + "}]").history.empty());
    CHECK(example(R"([{"messages": )" + none + R"(, "instruction": "x", "output": "b"}])").instruction == "x");
    CHECK(example(R"([{"instruction": "a", "output": "b", "choices": )" + none + "}]").choices.empty());
    CHECK_FALSE(example(R"([{"instruction": "a", "adapter": )" + none + "}]", {.outputs = Outputs::optional}).adapters);
  }
  CHECK(contains(error_of(R"([{"instruction": "a", "output": NaNs}])"), "broken JSON"));
  CHECK(contains(error_of(R"([{"instruction": "a", "output": aNaN}])"), "broken JSON"));
}

TEST_CASE("half a surrogate pair is U+FFFD, and is told") {
  const auto file =
      read(R"([{"instruction": "a \ud83d b", "input": "\ud83d\ude00 \\ud83d", "output": "\udc00\ud83d"}])");
  const Example& e = file.tasks[0].examples[0];
  CHECK(e.instruction == "a \xef\xbf\xbd b");
  CHECK(e.input == "\xf0\x9f\x98\x80 \\ud83d");
  CHECK(e.output == "\xef\xbf\xbd\xef\xbf\xbd");
  REQUIRE(file.notes.size() == 1);
  CHECK(contains(file.notes[0], "3 escaped halves of a surrogate pair"));
}

TEST_CASE("system and history of an Alpaca example come before its instruction") {
  const auto e = example(
      R"([{"instruction": "and now?", "input": "cold", "output": "no", "system": "Be terse.",
           "history": [["Hello", "Hi"], ["Is it hot?", "yes"]]}])");
  CHECK(e.system == "Be terse.");
  CHECK(history_text(e) == "user: Hello / assistant: Hi / user: Is it hot? / assistant: yes");
  CHECK(e.instruction == "and now?\ncold");
  CHECK(e.output == "no");
  CHECK(example(R"([{"instruction": "a", "output": "b", "history": []}])").history.empty());
  CHECK(example(R"([{"instruction": "a", "output": "b", "history": null}])").history.empty());
  CHECK(contains(error_of(R"([{"instruction": "a", "output": "b", "history": [["x"]]}])"), "a list of 1"));
  CHECK(contains(error_of(R"([{"instruction": "a", "output": "b", "history": "x"}])"), "is a string"));
}

TEST_CASE("messages and ShareGPT's conversations are the same conversation") {
  const std::string messages = R"([{"messages": [{"role": "developer", "content": "Be terse."},
      {"role": "user", "content": "Is it hot?"}, {"role": "assistant", "content": "yes"},
      {"role": "user", "content": [{"type": "text", "text": "and "}, {"text": "now?"}, ""]},
      {"role": "assistant", "content": "no"}, {"role": "user", "content": "thanks"}]}])";
  const std::string conversations = R"([{"conversations": [{"from": "system", "value": "Be terse."},
      {"from": "human", "value": "Is it hot?"}, {"from": "gpt", "value": "yes"},
      {"from": "Human", "value": "and now?"}, {"from": "GPT", "value": "no"}, {"from": "human", "value": "thanks"}]}])";
  for (const auto& text : {messages, conversations}) {
    const auto e = example(text);
    CHECK(e.system == "Be terse.");
    CHECK(history_text(e) == "user: Is it hot? / assistant: yes");
    CHECK(e.instruction == "and now?");
    CHECK(e.output == "no");
    // What waits for an answer is answered, and the last response anew where nothing does.
    const auto asked = example(text, {.outputs = Outputs::optional});
    CHECK(asked.instruction == "thanks");
    CHECK(asked.history.size() == 4);
    CHECK(asked.output.empty());
  }
}

TEST_CASE("a conversation becomes turns of user and assistant") {
  const auto e = example(R"([{"conversations": [{"from": "gpt", "value": "Welcome"}, {"from": "human", "value": "a"},
      {"from": "human", "value": "b"}, {"from": "gpt", "value": "c"}, {"from": "gpt", "value": " "},
      {"from": "system", "value": "d"}, {"from": "human", "value": "e"}, {"from": "gpt", "value": "f"}]}])");
  CHECK(history_text(e) == "user: a\n\nb / assistant: c");
  CHECK(e.instruction == "d\n\ne");
  CHECK(e.output == "f");
}

TEST_CASE("conversations of other forms are errors that name the message; those with tools are counted") {
  const auto of = [](const std::string& message) {
    return "[{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, " + message + "]}]";
  };
  CHECK(contains(error_of(of(R"({"role": "wizard", "content": "b"})")),
                 "unknown role 'wizard' in message 1 in element 0 of file.json"));
  CHECK(contains(error_of(of(R"({"content": "b"})")), "no role in message 1"));
  CHECK(contains(error_of(of(R"({"role": "assistant"})")), "no \"content\" in message 1"));
  CHECK(contains(error_of(of(R"({"role": "assistant", "content": {"a": 1}})")), "is an object"));
  CHECK(contains(error_of(of(R"({"role": "assistant", "content": [{"type": "image_url", "image_url": "x"}]})")),
                 "of type 'image_url'"));
  CHECK(contains(error_of(of("3")), "message 1 in element 0 of file.json is a number"));
  CHECK(contains(error_of(R"([{"messages": "a"}])"), "is a string: expected a list of messages"));
  const std::string tools = R"({"messages": [{"role": "assistant", "content": null, "tool_calls": [{"id": 1}]}]})";
  const auto task =
      read("[" + tools + R"(, {"conversations": [{"from": "observation", "value": "x"}]}, )" + good + "]");
  CHECK(task.tasks[0].examples.size() == 1);
  CHECK(task.tasks[0].skipped.with_tools == 2);
}

TEST_CASE("prompt and completion are texts, or messages") {
  const auto text = example(R"([{"prompt": "Is it hot?", "completion": "yes"}])");
  CHECK(text.instruction == "Is it hot?");
  CHECK(text.output == "yes");
  const auto messages = example(R"([{"prompt": [{"role": "system", "content": "Be terse."},
      {"role": "user", "content": "Is it hot?"}], "completion": [{"role": "assistant", "content": "yes"}]}])");
  CHECK(messages.system == "Be terse.");
  CHECK(messages.instruction == "Is it hot?");
  CHECK(messages.output == "yes");
  CHECK(contains(error_of(R"([{"prompt": [{"role": "user", "content": "a"}], "completion": "b"}])"), "of two kinds"));
  CHECK(contains(error_of(R"([{"prompt": "a", "chosen": "b"}])"),
                 "no \"completion\" in element 0 of file.json, which has the keys chosen, prompt"));
}

TEST_CASE("a text stands alone, and nothing answers it") {
  const auto e = example(R"([{"text": "Once upon a time"}])");
  CHECK(e.is_text);
  CHECK(e.output == "Once upon a time");
  CHECK(contains(error_of(R"([{"text": "Once"}])", {.outputs = Outputs::optional}), "has a text and no prompt"));
}

TEST_CASE("elements of one file may be of several formats; a format is chosen by a column that is not empty") {
  const auto all = examples(R"([{"instruction": "a", "output": "b", "messages": null, "text": "rendered"},
      {"messages": [{"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}], "prompt": "x"},
      {"prompt": "e", "completion": "f"}])");
  REQUIRE(all.size() == 3);
  CHECK(all[0].output == "b");
  CHECK(all[1].output == "d");
  CHECK(all[2].output == "f");
}

TEST_CASE("columns are read by the names that they are given, and a key that nobody reads is named once") {
  const auto file =
      read(R"([{"question": "a", "answer": "b", "id": 1}, {"question": "c", "answer": "d", "id": 2, "level": "x"}])",
           {.fields = {{"instruction", "question"}, {"output", "answer"}}});
  const Example& e = file.tasks[0].examples[0];
  CHECK(e.instruction == "a");
  CHECK(e.output == "b");
  CHECK_FALSE(e.answer.has_value());  // its key is the output's
  REQUIRE(file.notes.size() == 1);
  CHECK(contains(file.notes[0], "file.json: the keys id, level are not read"));
  CHECK(contains(error_of("[" + good + "]", {.fields = {{"output", "anser"}}}),
                 "no \"anser\" in file.json, whose elements have instruction, output"));

  using Texts = std::vector<std::string>;
  const auto refusal = [](const Texts& texts) {
    return error_text([&] { return csreft::parse_field_names(texts).size(); });
  };
  CHECK(csreft::parse_field_names(Texts{"output=a=b"}).front().second == "a=b");
  CHECK(contains(refusal({"output"}), "expected NAME=KEY"));
  CHECK(contains(refusal({"outptu=answer"}), "there is no column outptu: expected one of adapter, answer"));
  CHECK(contains(refusal({"output=a", "output=b"}), "given twice"));
}

TEST_CASE("examples that are empty or have no response are counted, whatever is left") {
  const std::string text = "[" + good + R"(, {"instruction": "a", "output": ""}, {"instruction": "a"}, {}, null,
      {"instruction": null, "output": " "}, {"messages": []}, {"messages": [{"role": "user", "content": "x"}]}])";
  const Task task = read(text).tasks.front();
  CHECK(task.examples.size() == 1);
  CHECK(task.skipped.without_response == 3);
  CHECK(task.skipped.empty == 4);
  CHECK(csreft::describe(task.skipped, task.examples.size()) == "skipped 7 of 8: 3 without a response, 4 empty");
  CHECK(contains(error_of(R"([{"instruction": "a", "output": ""}])"),
                 "no examples in file.json can be used, skipped 1 of 1: 1 without a response"));
  // Instructions need no response.
  CHECK(examples(R"([{"instruction": "a"}, {"instruction": "b", "output": "c"}])", {.outputs = Outputs::optional})
            .size() == 2);
}

TEST_CASE("a file with answers in part is an error that names the first without") {
  const std::string with = R"({"instruction": "a", "output": "b", "answer": "b"})";
  CHECK(contains(error_of("[" + with + "," + good + "," + good + "]"), "element 1 of file.json has no \"answer\""));
  CHECK(contains(error_of("[" + good + "," + good + "," + with + "]"), "element 0 of file.json has no \"answer\""));
  CHECK(contains(error_of("[" + with + R"(, {"instruction": "a", "output": "b", "answer": null}])"), "element 1"));
  CHECK(examples("[" + with + "," + good + "]", {.outputs = Outputs::optional}).size() == 2);
}

TEST_CASE("choices come with an answer among them, or with its number") {
  const auto of = [](const std::string& answer) {
    return R"([{"instruction": "a", "choices": ["hot", "cold", 3], "answer": )" + answer + "}]";
  };
  CHECK(example(of("\"cold\"")).output == "cold");
  CHECK(example(of("1")).answer == "cold");
  CHECK(example(of("3")).answer == "3");
  CHECK(example(of("0")).choices == std::vector<std::string>{"hot", "cold", "3"});
  CHECK(example(of("1.0")).answer == "cold");
  CHECK(example(of("3.0")).answer == "3");
  CHECK(contains(error_of(of("7")), "the answer in element 0 of file.json is 7"));
  CHECK(contains(error_of(of("7.0")), "the answer in element 0 of file.json is 7"));
  // A number is a choice, however it is written, before it is one's place.
  const auto numbers = example(R"([{"instruction": "a", "choices": ["1.0", "2.0", "3.0"], "answer": 1.0}])");
  CHECK(numbers.answer == "1.0");
  CHECK(numbers.output == "1.0");
  CHECK(contains(error_of(R"([{"instruction": "a", "output": "b", "choices": "b"}])"), "expected a list of answers"));
}

TEST_CASE("a column tells the tasks of one file, and those of one name in several files are one") {
  const TemporaryFolder folder;
  const auto row = [](const std::string& task, const std::string& output) {
    return R"({"kind": ")" + task + R"(", "instruction": "a", "output": ")" + output + "\"}\n";
  };
  const std::vector<std::string> files{folder.write("one.jsonl", row("x", "1") + row("y", "2") + row("x", "")).string(),
                                       folder.write("two.jsonl", row("y", "3")).string()};
  const auto tasks = csreft::load_tasks(files, {.task_column = "kind"});
  REQUIRE(tasks.size() == 2);
  CHECK(tasks[0].name == "x");
  CHECK(tasks[0].skipped.without_response == 1);
  CHECK(tasks[1].name == "y");
  CHECK(tasks[1].examples.size() == 2);
  const auto refusal = [&](const std::vector<std::string>& some) {
    return error_text([&] { return csreft::load_tasks(some, {.task_column = "kind"}).size(); });
  };
  CHECK(contains(refusal({folder.write("three.json", "[" + good + "]").string()}), "no \"kind\" in element 0"));
  CHECK(contains(refusal({"z=" + files[0]}), "names one task"));
}

TEST_CASE("a task of a column is whole, or an error, and what is of no task is told") {
  const TemporaryFolder folder;
  const std::string a = R"({"kind": "a", "instruction": "x", "output": "y"})",
                    b = R"({"kind": "b", "instruction": "x")";
  const auto file = folder.write("f.jsonl", a + "\n" + b + ", \"output\": null}\n" + b + ", \"output\": \"\"}\n");
  const auto load = [](const std::vector<std::string>& files, std::vector<std::string>* notes = nullptr) {
    return csreft::load_tasks(files, {.task_column = "kind"}, notes);
  };
  CHECK(contains(error_text([&] { return load({file.string()}).size(); }),
                 "no examples of task b in " + file.string() + " can be used, skipped 2 of 2: 2 without a response"));
  // Another file may have the task's examples.
  const auto more = folder.write("g.jsonl", b + ", \"output\": \"z\"}\n{}\nnull\n");
  std::vector<std::string> notes;
  const auto tasks = load({file.string(), more.string()}, &notes);
  REQUIRE(tasks.size() == 2);
  CHECK(tasks[1].examples.size() == 1);
  CHECK(tasks[1].skipped.without_response == 2);
  REQUIRE(notes.size() == 1);
  CHECK(notes[0] == more.string() + ": skipped 2 of 3 elements, which are empty and of no task");
}

TEST_CASE("a file may be named, and a path with an equals sign is a path") {
  const TemporaryFolder folder;
  const auto file = folder.write("a.train.json", "[" + good + "]").string();
  CHECK(csreft::load_tasks(std::vector{"mood=" + file})[0].name == "mood");
  CHECK(csreft::load_tasks(std::vector{file})[0].name == "a.train");
  const auto odd = folder.write("x=y.json", "[" + good + "]").string();
  CHECK(csreft::load_tasks(std::vector{odd})[0].name == "x=y");
  CHECK(csreft::parse_data_file("dir/x=y.json").path == "dir/x=y.json");
  CHECK(contains(error_text([] { return csreft::parse_data_file("mood=").name; }), "names no file"));
  CHECK(contains(error_text([&] {
                   return csreft::load_tasks(std::vector{file, file}).size();
                 }),
                 "two files are named a.train"));
}
