// How attention is cut up on a device, shared by its forward and its backward.
//
// A block of 16 x 16 threads owns a tile of queries or keys of one head; thread (x, y) owns the elements (y + 16 i,
// x + 16 j) of every matrix of scores in the tile, so that the 16 threads of one row are neighbouring lanes. Rows in
// shared memory are one element longer than a head, which spreads columns over the banks.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "core/cuda/attention_tiles.h"
#include "core/cuda/context.h"
#include "core/cuda/launch.h"
#include "core/ops/ops.h"

namespace csreft::cuda {

inline constexpr int tile_side = 16;  // threads along one side of a block

struct AttentionShape {
  int head_dim, n_heads, group;
  std::int64_t q_stride, kv_stride;  // elements in a row of q and of k
};

inline AttentionShape attention_shape(const ops::AttentionHeads& heads) {
  return {static_cast<int>(heads.head_dim), static_cast<int>(heads.n_heads),
          static_cast<int>(heads.n_heads / heads.n_kv_heads), heads.n_heads * heads.head_dim,
          heads.n_kv_heads * heads.head_dim};
}

// What a block may ask for on every device of compute capability 8.0 and newer: 8.6, 8.9 and 12.x have the least.
inline constexpr std::size_t most_shared_bytes = 99 * 1024;

// The widths of heads that kernels are made for: narrower heads are padded with zeros in shared memory. `rows` is how
// many of the tile's rows and columns each thread owns. Tiles of wider heads in double do not fit.
template <typename T, int width>
inline constexpr int rows_per_thread = static_cast<int>(sizeof(T)) * width <= 512 ? 2 : 1;
template <typename T>
inline constexpr int widest_head = sizeof(T) == sizeof(double) ? 128 : 256;

// Calls f with integral constants (width, rows per thread) for a head.
template <typename T, typename F>
void visit_head(std::int64_t head_dim, const F& f) {
  if (head_dim <= 32) return f.template operator()<32, rows_per_thread<T, 32>>();
  if (head_dim <= 64) return f.template operator()<64, rows_per_thread<T, 64>>();
  if (head_dim <= 128) return f.template operator()<128, rows_per_thread<T, 128>>();
  require(head_dim <= widest_head<T>, "attention: {} heads of {} components, expected at most {} on cuda",
          sizeof(T) == sizeof(double) ? "f64" : "f32", head_dim, widest_head<T>);
  if constexpr (widest_head<T> == 256) f.template operator()<256, rows_per_thread<T, 256>>();
}

// Loads `count` rows of a head into a tile of `rows` rows [rows][width + 1], times factor; what lies outside is 0.
template <int width, int rows, typename T>
__device__ void load_tile(const T* from, std::int64_t stride, int count, int head_dim, T factor, T* tile) {
  constexpr int threads = tile_side * tile_side;
  const int thread = static_cast<int>(threadIdx.y * tile_side + threadIdx.x);
  for (int i = thread; i < rows * width; i += threads) {
    const int row = i / width, column = i % width;
    tile[row * (width + 1) + column] = row < count && column < head_dim ? factor * from[row * stride + column] : T{0};
  }
}

// scores[i][j] = row y + 16 i of a times row x + 16 j of b, over `width` components.
template <int width, int n, typename T>
__device__ void multiply_tiles(const T* a, const T* b, T (&scores)[n][n]) {
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) scores[i][j] = 0;
  }
  for (int c = 0; c < width; ++c) {
    T left[n], right[n];
    for (int i = 0; i < n; ++i) left[i] = a[(threadIdx.y + tile_side * i) * (width + 1) + c];
    for (int j = 0; j < n; ++j) right[j] = b[(threadIdx.x + tile_side * j) * (width + 1) + c];
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) scores[i][j] += left[i] * right[j];
    }
  }
}

// out[i][c] += sum over r of weights(y + 16 i, r) * rows[r][x + 16 c]; weights are [16 n][16 n + 1], read as they
// stand or transposed.
template <int width, int n, bool transposed, typename T>
__device__ void accumulate_rows(const T* weights, const T* rows, T (&out)[n][width / tile_side]) {
  constexpr int side = tile_side * n;
  for (int r = 0; r < side; ++r) {
    T w[n];
    for (int i = 0; i < n; ++i) {
      const int row = static_cast<int>(threadIdx.y) + tile_side * i;
      w[i] = transposed ? weights[r * (side + 1) + row] : weights[row * (side + 1) + r];
    }
    for (int c = 0; c < width / tile_side; ++c) {
      const T x = rows[r * (width + 1) + static_cast<int>(threadIdx.x) + tile_side * c];
      for (int i = 0; i < n; ++i) out[i][c] += w[i] * x;
    }
  }
}

// Writes the rows that a thread has accumulated, times factor.
template <int width, int n, typename T>
__device__ void store_rows(const T (&out)[n][width / tile_side], T factor, int count, int head_dim, std::int64_t stride,
                           T* to) {
  for (int i = 0; i < n; ++i) {
    const int row = static_cast<int>(threadIdx.y) + tile_side * i;
    for (int c = 0; c < width / tile_side; ++c) {
      const int column = static_cast<int>(threadIdx.x) + tile_side * c;
      if (row < count && column < head_dim) to[row * stride + column] = factor * out[i][c];
    }
  }
}

// What q k^T is multiplied by.
template <typename T>
T score_scale(const ops::AttentionHeads& heads) {
  return T{1} / static_cast<T>(std::sqrt(static_cast<double>(heads.head_dim)));
}

}  // namespace csreft::cuda
