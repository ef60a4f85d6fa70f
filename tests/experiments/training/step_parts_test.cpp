#include "experiments/training/step_parts.h"

#include <doctest/doctest.h>

namespace {

using csreft::EncodedExample;
using csreft::Examples;

std::vector<EncodedExample> examples_of(const std::vector<std::size_t>& lengths) {
  std::vector<EncodedExample> all;
  for (const auto length : lengths) all.push_back({.ids = std::vector<std::int32_t>(length, 1), .prompt_length = 1});
  return all;
}

std::vector<std::size_t> sizes(const std::vector<std::size_t>& lengths, int ranks) {
  const auto all = examples_of(lengths);
  std::vector<const EncodedExample*> pointers;
  for (const auto& e : all) pointers.push_back(&e);
  std::vector<std::size_t> out;
  auto next = Examples(pointers).begin();
  for (int r = 0; r < ranks; ++r) {
    const Examples part = csreft::part_of_rank(pointers, r, ranks);
    if (!part.empty()) CHECK(part.begin() == next);
    next += std::ssize(part);
    out.push_back(part.size());
  }
  CHECK(next == Examples(pointers).end());
  return out;
}

}  // namespace

TEST_CASE("a step's examples are divided among ranks one after the other, by tokens, each once") {
  using Sizes = std::vector<std::size_t>;
  CHECK(sizes({5, 5, 5, 5}, 1) == Sizes{4});
  CHECK(sizes({5, 5, 5, 5}, 2) == Sizes{2, 2});
  CHECK(sizes({5, 5, 5, 5}, 4) == Sizes{1, 1, 1, 1});
  CHECK(sizes({30, 5, 5, 5, 5, 5, 5}, 2) == Sizes{1, 6});
  // Fewer examples than ranks: some have none.
  CHECK(sizes({5}, 2) == Sizes{0, 1});
  CHECK(sizes({5, 5, 5}, 8) == Sizes{0, 1, 0, 0, 1, 0, 1, 0});
}

TEST_CASE("passes hold at most so many tokens, or one example") {
  const auto all = examples_of({5, 5, 20, 1, 1});
  std::vector<const EncodedExample*> pointers;
  for (const auto& e : all) pointers.push_back(&e);
  std::vector<std::size_t> out;
  for (const Examples pass : csreft::passes_of(pointers, 10)) out.push_back(pass.size());
  CHECK(out == std::vector<std::size_t>{2, 1, 2});
  CHECK(csreft::passes_of({}, 10).empty());
}
