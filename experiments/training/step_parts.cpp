#include "experiments/training/step_parts.h"

#include <algorithm>

namespace csreft {
namespace {

std::int64_t length_of(const EncodedExample* example) { return std::ssize(example->ids); }

}  // namespace

Examples part_of_rank(Examples examples, int rank, int ranks) {
  std::int64_t total = 0;
  for (const auto* e : examples) total += length_of(e);
  std::int64_t before = 0;
  std::vector<std::int64_t> owners;
  for (const auto* e : examples) {
    owners.push_back((2 * before + length_of(e)) * ranks / (2 * total));
    before += length_of(e);
  }
  const auto [first, last] = std::ranges::equal_range(owners, rank);
  return examples.subspan(static_cast<std::size_t>(first - owners.begin()), static_cast<std::size_t>(last - first));
}

std::vector<Examples> passes_of(Examples examples, std::int64_t tokens) {
  std::vector<Examples> passes;
  for (std::size_t begin = 0; begin < examples.size();) {
    std::size_t end = begin;
    std::int64_t sum = 0;
    while (end < examples.size()) {
      sum += length_of(examples[end]);
      if (end > begin && sum > tokens) break;
      ++end;
    }
    passes.push_back(examples.subspan(begin, end - begin));
    begin = end;
  }
  return passes;
}

}  // namespace csreft
