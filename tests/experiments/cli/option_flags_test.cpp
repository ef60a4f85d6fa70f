#include "experiments/cli/option_flags.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "tests/error_text.h"
#include "tests/program.h"

TEST_CASE("a flag that several owners have says what each of them says of it") {
  const std::string help = run_program({"train", "--help"}).out;
  // The flag's lines, up to the next flag.
  const auto lines_of = [&](const std::string& flag) {
    const std::size_t begin = std::min(help.find("  " + flag + " "), help.find("  " + flag + "="));
    REQUIRE(begin != std::string::npos);
    return help.substr(begin, help.find("\n  --", begin) - begin);
  };
  const std::string rank = lines_of("--rank");
  CHECK(contains(rank, "rank r of each subspace; 1 or more\n"));
  CHECK(contains(rank, "lora, olora: rank r of A and B; 1 or more"));
  const std::string dropout = lines_of("--dropout");
  CHECK(contains(dropout, "components of an edited state"));
  CHECK(contains(dropout, "lora, olora: share of the components of an update's input"));
  CHECK(contains(lines_of("--positions"), "lora, olora: tokens whose layers are updated"));
  CHECK(contains(lines_of("--tasks"), "olora: names of the tasks, in the order of learning"));
  const std::string momentum = lines_of("--momentum");
  CHECK(contains(momentum, "share of the step before, of R"));
  CHECK(contains(momentum, "sgd: share of the step before; 0 or more and less than 1"));
  // Once where all say the same.
  const std::string decay = lines_of("--weight-decay");
  CHECK(decay.find("weight decay") == decay.rfind("weight decay"));
}
