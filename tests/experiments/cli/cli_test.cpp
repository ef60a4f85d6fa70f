#include "experiments/cli/cli.h"

#include <doctest/doctest.h>

#include "tests/environment.h"
#include "tests/error_text.h"
#include "tests/program.h"

namespace {

// The flags of an experiment with one of each kind.
struct Sample {
  double rate = 0.5;
  std::uint64_t seed = 0;
  bool tied = false;
  std::vector<std::string> files{};
  csreft::Flags flags{"sample", "A sample.", {"./run sample --rate 2"}};

  Sample() {
    flags.add("--rate", rate, "a rate");
    flags.add("--seed", seed, "a seed");
    flags.add_switch("--tied", tied, "a switch");
    flags.add_list("--train", files, "files");
  }
  std::string refusal(const std::vector<std::string>& words) {
    return error_text([&] { return flags.parse(words); });
  }
};

}  // namespace

TEST_CASE("flags take their values, lists gather theirs, and the command is kept") {
  Sample sample;
  const std::vector<std::string> words{"--rate=2", "--train", "a b.json", "--train", "c.json", "d.json", "--tied"};
  CHECK(sample.flags.parse(words));
  CHECK(sample.rate == 2);
  CHECK(sample.tied);
  CHECK(sample.files == std::vector<std::string>{"a b.json", "c.json", "d.json"});
  CHECK(sample.flags.given("--rate"));
  CHECK(sample.flags.command() == "./run sample --rate=2 --train 'a b.json' --train c.json d.json --tied");
}

TEST_CASE("a flag that is not given keeps its default") {
  Sample sample;
  CHECK(sample.flags.parse({}));
  CHECK(sample.rate == 0.5);
  CHECK_FALSE(sample.flags.given("--rate"));
}

TEST_CASE("unknown flags and ill-formed values are one line") {
  CHECK(contains(Sample().refusal({"--ratee", "2"}), "unknown flag --ratee (did you mean --rate?)"));
  CHECK(contains(Sample().refusal({"--ratee=2"}), "did you mean --rate?"));
  CHECK(contains(Sample().refusal({"word"}), "the word 'word' belongs to no flag: expected flags and their values"));
  CHECK(contains(Sample().refusal({"--rate", "x"}), "--rate"));
  CHECK(Sample().refusal({"--rate"}) == "--rate has no value: expected --rate FLOAT");
  CHECK(Sample().refusal({"--train"}) == "--train has no value: expected --train FILE");
  CHECK(contains(Sample().refusal({"--seed", "-1"}), "--seed: -1 is less than 0"));
  CHECK(Sample().refusal({"--rate", "1", "--rate", "2"}) == "--rate is given 2 times: expected once");
  CHECK(!contains(Sample().refusal({"--rate", "x\ny"}), "\n"));
}

TEST_CASE("what is required and missing is said with what it may be") {
  std::string name, place;
  csreft::Flags flags("sample", "A sample.", {"./run sample one"});
  flags.add_required("name", name, "a name", "one of one, two");
  flags.add_path("--place", place, "a place", "FOLDER");
  CHECK(error_text([&] { return flags.parse({}); }) == "name is missing: expected one of one, two");
  CHECK(error_text([&] {
          return flags.parse(std::vector<std::string>{"one", "--place"});
        }) == "--place has no value: expected --place FOLDER");
}

TEST_CASE("control characters do not break a line") {
  CHECK(csreft::one_line("a\nb\r\tc\x1b[0m\x7f") == "a b  c [0m ");
  CHECK(csreft::one_line("Grüße") == "Grüße");
}

TEST_CASE("commands to type are those of whoever starts the programme") {
  CHECK(csreft::command_name() == "./run");
  const EnvironmentVariable name("CSREFT_COMMAND", "/bundle/csreft");
  const ProgramResult help = run_program({"train", "--help"});
  CHECK(help.code == 0);
  CHECK(contains(help.out, "/bundle/csreft train"));
  CHECK_FALSE(contains(help.out, "./run"));
  CHECK(contains(run_program({"train", "--what"}).err, "that /bundle/csreft train --help lists"));
  const EnvironmentVariable other("CSREFT_COMMAND", "/my tools/csreft");
  CHECK(csreft::command_name() == "'/my tools/csreft'");
}

TEST_CASE("a hidden name works and is not in the help, whose columns stay") {
  const EnvironmentVariable unchecked("CSREFT_CHECK", std::nullopt);
  std::int64_t tests = 0, other = 0;
  csreft::Flags flags("sample", "A sample.", {});
  flags.add("--tests,--limit", tests, "how many");
  flags.hide("--limit");
  flags.add("--other", other, "another");
  const std::vector<std::string> words{"--limit", "3"};
  CHECK(flags.parse(words));
  CHECK(tests == 3);
  CHECK(flags.given("--tests"));

  const auto help = run_program({"train", "--help"}).out;
  const auto column_of = [&help](const std::string& text) {
    const auto at = help.find(text);
    REQUIRE(at != std::string::npos);
    return at - help.rfind('\n', at);
  };
  CHECK(column_of("test examples of each task") == column_of("score the untrained model"));
}

TEST_CASE("a help has no two blank lines in a row, and one before each group") {
  const EnvironmentVariable unchecked("CSREFT_CHECK", std::nullopt);
  for (const char* command : {"quickstart", "train", "generate", "ablate", "bench", "roofline"}) {
    CAPTURE(command);
    const auto help = run_program({command, "--help"});
    REQUIRE(help.code == 0);
    CHECK_FALSE(contains(help.out, "\n\n\n"));
    CHECK(contains(help.out, "\n\nOptions:\n"));
    CHECK(contains(help.out, "\n\nExamples:\n"));
  }
  CHECK(contains(run_program({"train", "--help"}).out, "\n\nTraining:\n"));
}

TEST_CASE("a check asks for the files that flags name, and ends where work begins") {
  const EnvironmentVariable checked("CSREFT_CHECK", "1");
  CHECK(Sample().flags.parse(std::vector<std::string>{"--rate", "2"}));
  CHECK_THROWS_AS(csreft::begin_work(), csreft::CheckPassed);
  CHECK(contains(Sample().refusal({"--ratee", "2"}), "did you mean --rate?"));
  CHECK(Sample().refusal({"--train", "/no/such/file"}) ==
        "there is no /no/such/file: expected a file or a folder for --train");
  CHECK(contains(Sample().refusal({"--train", "a=absent.json"}), "there is no a=absent.json"));
  CHECK(Sample().refusal({"--train", "0.1", "last", "a=.", "."}).empty());  // a share, a name, a folder
}
