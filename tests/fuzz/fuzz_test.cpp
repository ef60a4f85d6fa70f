// That the targets of ./run fuzz do their work: their seeds are read, and a little of what a fuzzer does with them.
#include <doctest/doctest.h>

#include "core/tensor/random.h"
#include "tests/fuzz/target.h"

namespace csreft {
namespace {

// One to four changes: a byte set, some bytes lost, or some of them said twice.
std::string changed(std::string input, Random& random) {
  for (std::size_t left = 1 + random.below(4); left > 0 && !input.empty(); --left) {
    const std::size_t at = random.below(input.size());
    const std::size_t n = std::min(input.size() - at, 1 + random.below(16));
    switch (random.below(4)) {
      case 0: input[at] = static_cast<char>(random.below(256)); break;
      case 1: input.erase(at, n); break;
      case 2: input.insert(at, input.substr(at, n)); break;
      default: input.resize(at); break;
    }
  }
  return input;
}

}  // namespace

TEST_CASE("the seeds of every fuzzed reader are read without an error") {
  for (const auto* target : fuzz_targets()) {
    CAPTURE(target->name);
    const auto seeds = target->seeds();
    CHECK_FALSE(seeds.empty());
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      CAPTURE(i);
      CHECK_NOTHROW(target->read(seeds[i]));
    }
  }
}

TEST_CASE("changed seeds are read, or refused by an Error") {
  constexpr int inputs = 200;
  for (const auto* target : fuzz_targets()) {
    CAPTURE(target->name);
    Random random(1);
    int refused = 0;
    const auto seeds = target->seeds();
    for (int i = 0; i < inputs; ++i) {
      const std::string input = changed(seeds[random.below(seeds.size())], random);
      CAPTURE(i);
      try {
        refused += check_reading(*target, input) ? 0 : 1;
      } catch (const std::exception& finding) {
        const std::string text = finding.what();
        FAIL_CHECK(text);
      }
    }
    CHECK(refused > 0);
  }
}

}  // namespace csreft
