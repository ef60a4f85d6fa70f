#include "core/cpu/allocator.h"

#include <cstdint>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/error.h"

using csreft::allocate_host;
using csreft::host_memory;

TEST_CASE("host memory is aligned, even where nothing was asked for") {
  for (const std::size_t bytes : {0UL, 1UL, 63UL, 65UL, 1000UL, 123457UL}) {
    const auto block = allocate_host(bytes);
    REQUIRE(block != nullptr);
    CHECK(reinterpret_cast<std::uintptr_t>(block.get()) % 64 == 0);
  }
}

TEST_CASE("a freed block serves a request of nearly its size") {
  csreft::release_kept_host_memory();
  const auto before = host_memory();
  void* first = nullptr;
  {
    const auto block = allocate_host(1000000);
    first = block.get();
    CHECK(host_memory().used >= before.used + 1000000);
  }
  CHECK(host_memory().used == before.used);
  CHECK(host_memory().kept >= 1000000);
  CHECK(allocate_host(990000).get() == first);
  CHECK(allocate_host(100000).get() != first);
  csreft::release_kept_host_memory();
  CHECK(host_memory().kept == 0);
}

TEST_CASE("more memory than there is gives an error, not a crash") {
  CHECK_THROWS_AS(allocate_host(std::size_t{1} << 60U), csreft::Error);
}

TEST_CASE("threads share the allocator") {
  const auto before = host_memory().used;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (std::size_t i = 0; i < 500; ++i) {
        const auto block = allocate_host(1000 + i * 64);
        *static_cast<int*>(block.get()) = t;
        if (*static_cast<int*>(block.get()) != t) std::abort();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(host_memory().used == before);
}
