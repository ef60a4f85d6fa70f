// Sums over all elements: fixed chunks in double, then the chunks in order.
#include <vector>

#include "core/cpu/maps.h"
#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {
namespace {

constexpr std::int64_t chunk_size = 4096;

// The sum over chunks of chunk_sum(begin, end).
template <typename ChunkSum>
double sum_chunks(std::int64_t n, const ChunkSum& chunk_sum) {
  std::vector<double> partial(static_cast<std::size_t>((n + chunk_size - 1) / chunk_size));
  for_each_piece(n, piece_size, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; i += chunk_size) {
      partial[static_cast<std::size_t>(i / chunk_size)] = chunk_sum(i, std::min(end, i + chunk_size));
    }
  });
  double total = 0;
  for (const double p : partial) total += p;
  return total;
}
static_assert(piece_size % chunk_size == 0);

}  // namespace

void sum(const Tensor& x, const Tensor& y) {
  visit_real(x.dtype(), "sum", [&]<typename T>(T) {
    const T* px = x.data<T>();
    *y.data<T>() = static_cast<T>(sum_chunks(x.numel(), [&](std::int64_t begin, std::int64_t end) {
      return array(px + begin, end - begin).template cast<double>().sum();
    }));
  });
}

void abs_sum(const Tensor& x, const Tensor& y) {
  visit_real(x.dtype(), "abs_sum", [&]<typename T>(T) {
    const T* px = x.data<T>();
    *y.data<T>() = static_cast<T>(sum_chunks(x.numel(), [&](std::int64_t begin, std::int64_t end) {
      return array(px + begin, end - begin).template cast<double>().abs().sum();
    }));
  });
}

double squared_norm(const Tensor& x) {
  return visit_real(x.dtype(), "squared_norm", [&]<typename T>(T) {
    const T* px = x.data<T>();
    return sum_chunks(x.numel(), [&](std::int64_t begin, std::int64_t end) {
      return array(px + begin, end - begin).template cast<double>().square().sum();
    });
  });
}

double squared_norms(std::span<const Tensor> tensors) {
  double sum = 0;
  for (const Tensor& t : tensors) sum += squared_norm(t);
  return sum;
}

}  // namespace csreft::cpu
