#include "core/base/threads.h"

#include <cstddef>
#include <vector>

#include <dnnl.h>
#include <execinfo.h>
#include <omp.h>
#include <pthread.h>
#include <sys/mman.h>

#include "core/base/error.h"

namespace csreft {
namespace {

std::size_t stack_bytes() {
  pthread_attr_t attributes;
  std::size_t bytes = 0;
  pthread_attr_init(&attributes);
  pthread_attr_getstacksize(&attributes, &bytes);
  pthread_attr_destroy(&attributes);
  return bytes;
}

}  // namespace

void set_threads(int n) {
  constexpr int limit = 1024;
  require(0 <= n && n <= limit, "{} threads cannot be used: expected 0 (all processors) to {}", n, limit);
  omp_set_num_threads(n == 0 ? omp_get_num_procs() : n);
}

int threads() { return omp_get_max_threads(); }

void require_address_space(std::size_t bytes, std::string_view purpose, std::string_view expected) {
  void* const room =
      ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, /*fd=*/-1, /*offset=*/0);
  require(room != MAP_FAILED, "out of memory: {} in {} MiB of address space, and there is less; expected {}", purpose,
          bytes >> 20U, expected);
  ::munmap(room, bytes);
}

void start_threads(int n) {
  set_threads(n);
  // Twice what oneDNN's code for products, which it makes at the first of them, and the unwinder were seen to take.
  constexpr std::size_t libraries = std::size_t{32} << 20U;
  require_address_space(libraries + static_cast<std::size_t>(threads() - 1) * stack_bytes(),
                        fmt::format("{} threads start", threads()), "more, or --threads 1");
  void* frame = nullptr;
  ::backtrace(&frame, 1);          // loads the unwinder, by which threads end
  constexpr dnnl_dim_t size = 64;  // large enough to be divided
  const std::vector<float> factor(static_cast<std::size_t>(size * size), 0.0F);
  std::vector<float> product(factor.size());
  // Each has code of its own on processors with AVX-512: without room for it oneDNN ends by a signal.
  for (const char a : {'N', 'T'}) {
    for (const char b : {'N', 'T'}) {
      for (const float beta : {0.0F, 1.0F}) {
        for (const dnnl_dim_t other : {size, dnnl_dim_t{1}}) {
          static_cast<void>(dnnl_sgemm(a, b, other, size, size, 1.0F, factor.data(), size, factor.data(), size, beta,
                                       product.data(), size));
          static_cast<void>(dnnl_sgemm(a, b, size, other, size, 1.0F, factor.data(), size, factor.data(), size, beta,
                                       product.data(), size));
        }
      }
    }
  }
#pragma omp parallel
  {}
}

}  // namespace csreft
