// What ranks tell each other. Each test that needs several starts itself again on them.
#include "core/ranks/ranks.h"

#include <cstdlib>
#include <filesystem>

#include <doctest/doctest.h>

#include "core/ranks/launcher.h"
#include "tests/compare.h"
#include "tests/error_text.h"
#include "tests/program.h"
#include "tests/ranks.h"

namespace {

using csreft::DType;
using csreft::Ranks;
using csreft::Tensor;

// Element i of a tensor of rank r is 10 r + i.
Tensor counted(const csreft::Shape& shape, int rank, DType type) {
  const Tensor t = Tensor::empty(shape, DType::f64);
  for (std::int64_t i = 0; i < t.numel(); ++i) t.data<double>()[i] = 10.0 * rank + static_cast<double>(i % 100);
  return t.to(type).clone();
}

double element(const Tensor& t, std::int64_t i) { return t.to(DType::f64).data<double>()[i]; }

void check_sums(const Ranks& ranks) {
  const int n = ranks.size();
  // Of both kinds of messages: 2^19 numbers are one of their own.
  const std::vector<csreft::Shape> shapes{{3}, {2, 5}, {std::int64_t{1} << 19}};
  for (const DType type : {DType::f32, DType::f64}) {
    std::vector<Tensor> tensors;
    for (const auto& shape : shapes) tensors.push_back(counted(shape, ranks.rank(), type));
    ranks.all_reduce_(tensors);
    for (const Tensor& t : tensors) {
      const std::int64_t last = t.numel() - 1;
      // Whole numbers: sums are exact.
      CHECK(element(t, last) == 10.0 * n * (n - 1) / 2 + n * static_cast<double>(last % 100));
    }
  }
  std::vector<double> numbers{1.0, static_cast<double>(ranks.rank())};
  ranks.all_reduce_(std::span(numbers));
  CHECK(numbers == std::vector<double>{1.0 * n, 1.0 * n * (n - 1) / 2});
}

void check_shared(const Ranks& ranks) {
  const Tensor whole = counted({4}, ranks.rank(), DType::f32);
  ranks.broadcast_(std::vector<Tensor>{whole}, /*root=*/1);
  CHECK(element(whole, 2) == 12.0);

  std::vector<Tensor> values;
  std::vector<int> owners;
  for (int i = 0; i < 5; ++i) {
    values.push_back(counted(i == 3 ? csreft::Shape{1 << 19} : csreft::Shape{i + 1}, ranks.rank(), DType::f32));
    owners.push_back((i * 3) % ranks.size());
  }
  ranks.broadcast_from_owners_(values, owners);
  for (std::size_t i = 0; i < values.size(); ++i) CHECK(element(values[i], 0) == 10.0 * owners[i]);

  CHECK(ranks.broadcast_first(2.0 + ranks.rank()) == 2.0);
  CHECK(ranks.broadcast_first(ranks.rank() == 0 ? std::string("a folder") : std::string()) == "a folder");
}

// Rank r has r rows, the first none.
void check_rows(const Ranks& ranks) {
  const int r = ranks.rank(), n = ranks.size();
  const Tensor own = r == 0 ? Tensor() : counted({r, 3}, r, DType::f32);
  const auto [rows, before] = ranks.all_gather_rows(own, 3, DType::f32);
  REQUIRE(rows.shape() == csreft::Shape{n * (n - 1) / 2, 3});
  CHECK(before == r * (r - 1) / 2);
  CHECK(element(rows, 0) == 10.0);
  CHECK(element(rows, rows.numel() - 1) == 10.0 * (n - 1) + 3 * (n - 1) - 1);
}

}  // namespace

TEST_CASE("ranks sum, share and gather what each has") {
  constexpr const char* here = "--test-case=ranks sum*";
  if (csreft::launch().size == 1) {
    if (!can_start_ranks()) return;
    for (const int n : {2, 3, 4}) {
      CAPTURE(n);
      auto words = mpirun(n);
      words.insert(words.end(), {std::filesystem::read_symlink("/proc/self/exe").string(), here});
      const auto result = run_words(words);
      CAPTURE(result.output);
      CHECK(result.code == 0);
    }
    return;
  }
  const Ranks ranks = Ranks::start();
  REQUIRE(ranks.size() > 1);
  CHECK(ranks.local_size() == ranks.size());
  CHECK(ranks.local_rank() == ranks.rank());
  check_sums(ranks);
  check_shared(ranks);
  check_rows(ranks);
  const Tensor brought = counted({3}, ranks.rank(), DType::f32);
  ranks.send_to_first_(brought, 1);
  CHECK(element(brought, 0) == (ranks.is_first() ? 10.0 : 10.0 * ranks.rank()));
  CHECK_NOTHROW(ranks.check_same("data", "all alike"));
  CHECK_THROWS_WITH_AS(ranks.check_same("data", std::to_string(ranks.rank() == 1 ? 1 : 0)),
                       doctest::Contains("rank 1 of"), csreft::Error);
}

TEST_CASE("one process has the interface of ranks, and sends nothing") {
  const Ranks& one = csreft::one_process;
  CHECK(one.is_first());
  CHECK(one.size() == 1);
  const Tensor t = counted({3}, 7, DType::bf16);
  one.all_reduce_(std::vector{t});
  one.broadcast_(std::vector{t});
  CHECK(element(t, 0) == 70.0);
  CHECK(one.broadcast_first(std::string("text")) == "text");
  CHECK(one.all_gather_rows(t, 3, DType::bf16).before == 0);
  CHECK(one.together([] { return 5; }) == 5);
  CHECK_THROWS_AS(one.together([]() -> int { csreft::fail("as it is"); }), csreft::Error);
}

TEST_CASE("what works in one process refuses several, on the first with one error, on others in silence") {
  if (csreft::launch().size != 1) return;
  for (const char* rank : {"0", "1"}) {
    ::setenv("OMPI_COMM_WORLD_RANK", rank, 1);
    ::setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
    const auto result = run_program({"runs"});
    ::unsetenv("OMPI_COMM_WORLD_RANK");
    ::unsetenv("OMPI_COMM_WORLD_SIZE");
    const bool first = rank == std::string("0");
    CHECK(result.code == (first ? 2 : 0));
    CHECK(result.out.empty());
    CHECK(result.err ==
          (first ? "error: a launcher started 2 processes, and runs is the work of one: expected one, without "
                   "mpirun or srun\n"
                 : ""));
  }
}
