// Loops over elements and rows, shared by the CPU's primitives. Work is cut into pieces that do not depend on the
// number of threads, so neither do the results.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace csreft::cpu {

// Elements that a thread handles in one go: about 10 microseconds of simple arithmetic, several times what it costs to
// wake a thread.
inline constexpr std::int64_t piece_size = 16384;

// Calls body(begin, end) for the pieces of [0, n): on this thread if there is only one, in parallel otherwise. The body
// must not throw.
template <typename Body>
void for_each_piece(std::int64_t n, std::int64_t size, const Body& body) {
  const std::int64_t pieces = (n + size - 1) / size;
  if (pieces <= 1) {
    if (n > 0) body(std::int64_t{0}, n);
    return;
  }
#pragma omp parallel for schedule(static)
  for (std::int64_t piece = 0; piece < pieces; ++piece) body(piece * size, std::min(n, (piece + 1) * size));
}

// Calls body(begin, end) for pieces of n elements.
template <typename Body>
void for_elements(std::int64_t n, const Body& body) {
  for_each_piece(n, piece_size, body);
}

// Calls body(row) for each of n rows of m elements.
template <typename Body>
void for_rows(std::int64_t n, std::int64_t m, const Body& body) {
  for_each_piece(n, std::max<std::int64_t>(1, piece_size / std::max<std::int64_t>(1, m)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t row = begin; row < end; ++row) body(row);
                 });
}

// out [m] = sum over n rows of what add_row(row, accumulator) adds to accumulator [m]: runs of rows first, then the
// runs in order.
template <typename T, typename AddRow>
void reduce_rows(std::int64_t n, std::int64_t m, T* out, const AddRow& add_row) {
  constexpr std::int64_t run = 64;
  const std::int64_t runs = std::max<std::int64_t>(1, (n + run - 1) / run);
  std::vector<T> partial(static_cast<std::size_t>(runs * m), T{0});
  for_each_piece(runs, std::max<std::int64_t>(1, piece_size / (run * std::max<std::int64_t>(1, m))),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t row = begin * run; row < std::min(n, end * run); ++row)
                     add_row(row, partial.data() + row / run * m);
                 });
  for_each_piece(m, 1024, [&](std::int64_t begin, std::int64_t end) {
    std::copy(partial.begin() + begin, partial.begin() + end, out + begin);
    for (std::int64_t i = 1; i < runs; ++i)
      for (std::int64_t j = begin; j < end; ++j) out[j] += partial[static_cast<std::size_t>(i * m + j)];
  });
}

}  // namespace csreft::cpu
