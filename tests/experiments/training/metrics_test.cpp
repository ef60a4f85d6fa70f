#include "experiments/training/metrics.h"

#include <doctest/doctest.h>

#include "core/base/whole_lines.h"
#include "experiments/training/sequence.h"
#include "experiments/training/validation.h"
#include "tests/temporary_folder.h"

TEST_CASE("a line that a kill has cut is no line, whoever reads") {
  const TemporaryFolder folder;
  const std::string line = csreft::metrics_line({.step = 1, .loss = 2.0, .tokens = 3});
  for (const std::size_t n : {line.size() / 2, line.size() - 1}) {
    folder.write("metrics.jsonl", line + line.substr(0, n));
    CHECK(csreft::read_metrics(folder / "metrics.jsonl").size() == 1);
    CHECK(csreft::count_lines(folder / "metrics.jsonl") == 1);
  }
  folder.write("metrics.jsonl", line.substr(0, 5));
  CHECK(csreft::read_metrics(folder / "metrics.jsonl").empty());
  CHECK(csreft::read_whole_lines(folder / "metrics.jsonl").empty());
  folder.write("validation.jsonl", csreft::validation_line({.step = 1, .cross_entropy = 2.0, .score = {}}) + "{\"st");
  CHECK(csreft::read_validation(folder / "validation.jsonl", 10).size() == 1);
  folder.write("sequence.jsonl", "{\"task\": \"a\", \"tasks\": {}}\n{\"task\": \"b\"");
  CHECK(csreft::read_sequence(folder / "sequence.jsonl", 10).size() == 1);
}
