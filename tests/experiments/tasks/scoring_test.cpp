#include "experiments/tasks/scoring.h"

#include <string>

#include <doctest/doctest.h>

#include "tests/error_text.h"

namespace {

using csreft::Example;
using csreft::is_correct;
using csreft::Task;

Example example(const std::string& output, const std::string& answer = "") {
  Example e{.instruction = "q", .input = "", .output = output, .answer = {}, .dataset = ""};
  if (!answer.empty()) e.answer = answer;
  return e;
}

}  // namespace

TEST_CASE("an answer of one word is the last word, whatever its case and the marks around it") {
  CHECK(is_correct("the correct answer is animal", "animal"));
  CHECK(is_correct("The correct answer is Animal.\n", "animal"));
  CHECK(is_correct("animal", "animal"));
  CHECK(is_correct("the expression is 5.00-4.28", "5.00-4.28"));
  CHECK_FALSE(is_correct("animal or plant", "animal"));
  CHECK(is_correct("C'est l'ÉTÉ.", "l'été"));
  CHECK(is_correct("cafe\u0301", "café"));
  CHECK_FALSE(is_correct("ete", "été"));
  CHECK_FALSE(is_correct("subanimal", "animal"));
  CHECK_FALSE(is_correct("", "animal"));
  CHECK_FALSE(is_correct(" \n", "animal"));
  CHECK_FALSE(is_correct("anything", ""));
}

TEST_CASE("an answer of several words is as many last words") {
  CHECK(is_correct("The city is New  York.", "new york"));
  CHECK(is_correct("new york", "New York"));
  CHECK(is_correct("It is \"New York\"!", "new york"));
  CHECK_FALSE(is_correct("york", "new york"));
  CHECK_FALSE(is_correct("new york city", "new york"));
  CHECK_FALSE(is_correct("newyork", "new york"));
}

TEST_CASE("marks are taken off both sides, whatever either has and however many words there are") {
  for (const char* answer : {"Paris", "Paris.", "paris", "\"Paris\"", "Paris,"}) {
    for (const char* said : {"It is Paris", "It is Paris!", "\"Paris\"", "It is 'Paris'.", "Paris,", "paris?!"}) {
      CAPTURE(answer);
      CAPTURE(said);
      CHECK(is_correct(said, answer));
    }
    CHECK_FALSE(is_correct("It is Parish", answer));
  }
  CHECK(is_correct("It is New York!", "New York"));
  CHECK(is_correct("the mark is .", "."));
  for (const char* said : {"It is york.", "york", "YORK!", "\"york.\"", "“york”", "york?!"}) {
    CAPTURE(said);
    CHECK(is_correct(said, "york."));
    CHECK(is_correct(said, "'York',"));
  }
  CHECK_FALSE(is_correct("new.", "york."));
  CHECK(is_correct("it is don't.", "don't."));
  // Marks alone are compared as they are.
  CHECK(is_correct("well ?", "?"));
  CHECK_FALSE(is_correct("well !", "?"));
  CHECK(is_correct("well ?.", "?"));
}

TEST_CASE("what was right by the last word less one full stop is right") {
  // The rule of earlier versions, for answers of one word without marks.
  for (const char* answer : {"a", "5.00-4.28", "don't", "?", ".", "x.y", "2.0", "été", "f(x)", "3"}) {
    for (const std::string after : {"", "."}) {
      CAPTURE(answer);
      CHECK(is_correct(answer + after, answer));
      CHECK(is_correct(std::string("it is ") + answer + after + "\n", answer));
    }
  }
}

TEST_CASE("numbers are equal however their fractions end") {
  CHECK(is_correct("the answer is 2.0", "2"));
  CHECK(is_correct("the answer is 2.", "2.0"));
  CHECK(is_correct("-0.250 degrees", "-0.25 degrees"));
  CHECK(csreft::is_exact("2.0", "2"));
  for (const auto& [said, answer] : {std::pair{"2.01", "2"},
                                     {"20", "2"},
                                     {"2.0.0", "2"},
                                     {"v2.0", "v2"},
                                     {"02", "2"},
                                     {"-2", "2"},
                                     {"0", "0.01"},
                                     {".0", ""}}) {
    CAPTURE(said);
    CHECK_FALSE(is_correct(said, answer));
  }
  for (const auto& [word, plain] : {std::pair{"100.0", "100"},
                                    {"100", "100"},
                                    {"0.10", "0.1"},
                                    {"-1.00", "-1"},
                                    {"1e3.0", "1e3.0"},
                                    {"-.0", "-.0"},
                                    {"1.", "1."}}) {
    CHECK(csreft::plain_number(word) == plain);
  }
}

TEST_CASE("exact compares the whole output, contains looks for whole words") {
  CHECK(csreft::is_exact(" Paris.\n", "paris"));
  CHECK(csreft::is_exact("It is  hot", "it is hot."));
  CHECK_FALSE(csreft::is_exact("It is Paris.", "Paris"));
  CHECK_FALSE(csreft::is_exact("", "Paris"));
  CHECK(csreft::contains_answer("It is Paris, of course.", "paris"));
  CHECK(csreft::contains_answer("It is (New\nYork).", "New York."));
  CHECK(csreft::contains_answer("答案是北京。", "北京"));
  CHECK(csreft::contains_answer("concat a cat", "cat"));
  CHECK_FALSE(csreft::contains_answer("the category", "cat"));
  CHECK_FALSE(csreft::contains_answer("a concat", "cat"));
  // Letters are those of Unicode, and so is their case.
  CHECK(csreft::contains_answer("UN BEL ÉTÉ!", "été"));
  CHECK(csreft::contains_answer("中国GDP增长", "GDP"));
  CHECK(csreft::contains_answer("서울은 수도", "서울"));
  CHECK_FALSE(csreft::contains_answer("un café", "caf"));
  CHECK_FALSE(csreft::contains_answer("un cafe\u0301", "cafe"));
  CHECK_FALSE(csreft::contains_answer("sa naïveté", "na"));
  CHECK_FALSE(csreft::contains_answer("répété", "été"));
  CHECK_FALSE(csreft::contains_answer("подарок", "дар"));
  CHECK_FALSE(csreft::contains_answer("", "cat"));
  CHECK_FALSE(csreft::contains_answer("cat", ""));
}

TEST_CASE("the metric suits the data, or is the one that is asked for") {
  const Task answered{.name = "t", .examples = {example("a", "a"), example("b", "b")}};
  const Task bare{.name = "t", .examples = {example("a"), example("b")}};
  const auto refusal = [](const Task& task, const char* name) {
    return error_text([&] { return csreft::metric_of(task, name).name.size(); });
  };
  CHECK(csreft::metric_of(answered).name == "accuracy");
  CHECK(csreft::metric_of(bare).name == "nll");
  CHECK(csreft::metric_of(answered, "nll").name == "nll");
  CHECK(csreft::metric_of(bare, "rouge-l").name == "rouge-l");
  CHECK(contains(refusal(bare, "accuracy"), "t has no answers for --metric accuracy"));
  CHECK(contains(refusal(bare, "bleu"),
                 "unknown metric 'bleu': expected one of accuracy, exact, contains, choice, nll, "
                 "rouge-l"));
  Task text = bare;
  text.examples[1].is_text = true;
  CHECK(contains(refusal(text, "exact"), "expected --metric nll"));
  CHECK(contains(refusal({.name = "t", .examples = {example("a", "a")}}, "choice"), "nothing to choose"));
  const Example e = example("It is hot.", "hot");
  CHECK(csreft::expected_of(e, csreft::find_metric("exact")) == "hot");
  CHECK(csreft::expected_of(e, csreft::find_metric("rouge-l")) == "It is hot.");
  CHECK(csreft::expected_of(example("x"), csreft::find_metric("contains")) == "x");
}

TEST_CASE("choices are the task's answers in its words, or the example's own") {
  Task task{.name = "t",
            .examples = {example("It is hot.", "hot"), example("It is cold.", "cold"), example("It is hot.", "hot")}};
  const csreft::ChoicesOfTask choices(task);
  CHECK(choices.of(task.examples[1]).answers == std::vector<std::string>{"hot", "cold"});
  CHECK(choices.of(task.examples[1]).right == 1);
  CHECK(choices.response_of("cold") == "It is cold.");
  // Words that differ would give the answer away.
  task.examples[2].output = "Yes, hot.";
  CHECK(csreft::ChoicesOfTask(task).response_of("cold") == "cold");
  task.examples[0].choices = {"mild", "hot", "wet"};
  CHECK(csreft::ChoicesOfTask(task).of(task.examples[0]).right == 1);
  task.examples[0].choices = {"mild", "wet"};
  CHECK(contains(error_text([&] { return csreft::metric_of(task, "choice").name.size(); }),
                 "the answer 'hot' among them"));
}

TEST_CASE("a part of a task has the choices of the whole") {
  Task task{.name = "t", .examples = {example("It is hot.", "hot"), example("It is cold.", "cold")}};
  csreft::collect_answers(task);
  task.examples.erase(task.examples.begin());
  CHECK(csreft::ChoicesOfTask(task).of(task.examples[0]).answers == std::vector<std::string>{"hot", "cold"});
}

TEST_CASE("answers that are open are no choices") {
  Task task{.name = "t", .examples = {}};
  for (std::size_t i = 0; i <= csreft::ChoicesOfTask::most; ++i) task.examples.push_back(example(std::to_string(i)));
  const auto refusal = [&] { return error_text([&] { return csreft::metric_of(task, "choice").name.size(); }); };
  CHECK(contains(refusal(), "t has 257 distinct answers, too many to choose among: expected at most 256"));
  task.examples.pop_back();
  CHECK(refusal().empty());
}

TEST_CASE("rouge-l is rouge_score's F1 without stemming") {
  struct Case {
    const char *generated, *expected;
    double f1;
  };
  // By rouge_score 0.1.2.
  for (const auto& [generated, expected, f1] :
       {Case{"the cat sat on the mat", "the cat lay on a mat", 0.6666666666666666},
        Case{"The Cat, sat!", "the cat sat", 1.0}, Case{"", "a b", 0.0}, Case{"a b", "", 0.0}, Case{"!!!", "???", 0.0},
        Case{"a b c d e f g", "g f e d c b a", 0.14285714285714285},
        Case{"police killed the gunman", "police kill the gunman", 0.75},
        Case{"the gunman kill police", "police killed the gunman", 0.5},
        Case{"café naïve 3.14 x_y", "cafe naive 3 14 x y", 0.6153846153846153},
        Case{"\u212aelvin 300", "kelvin 300", 1.0}, Case{"\u0130stanbul is big", "i stanbul is big", 1.0},
        Case{"one two three four five", "one three five seven", 0.6666666666666665},
        Case{"don't stop", "don t stop", 1.0}, Case{"a a a b", "a b a a", 0.75}}) {
    CAPTURE(generated);
    // The same formula in f64: rounding alone.
    CHECK(csreft::rouge_l(generated, expected) == doctest::Approx(f1).epsilon(1e-15));
  }
}
