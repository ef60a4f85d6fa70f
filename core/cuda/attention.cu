// Causal grouped-query attention, forward: tiles of keys pass under a tile of queries while a running maximum and a
// running sum keep the softmax exact (Milakov and Gimelshein 2018; Dao et al. 2022).
#include "core/cuda/attention_bf16.h"
#include "core/cuda/attention_tiles.cuh"
#include "core/cuda/ops.h"
#include "core/cuda/reduce.cuh"

namespace csreft::cuda {
namespace {

template <typename T>
struct Operands {
  const T *q, *k, *v;
  T *out, *lse;
  const AttentionTile* tiles;
  T scale;
};

template <typename T, int width, int n>
constexpr std::size_t shared_bytes() {
  constexpr std::size_t side = tile_side * n;
  constexpr std::size_t bytes = sizeof(T) * (2 * side * (width + 1) + side * (side + 1));
  static_assert(bytes <= most_shared_bytes);
  return bytes;
}

// blockIdx.x is the tile of queries, blockIdx.y the head. Dynamic shared memory: the queries times the scale, the keys
// and then the values that pass under them, and the exponentials [queries][keys].
template <typename T, int width, int n>
__global__ void __launch_bounds__(tile_side* tile_side)
    attention_kernel(const Operands<T> x, const AttentionShape shape) {
  constexpr int side = tile_side * n;
  CSREFT_DYNAMIC_SHARED(T, q);
  T* const kv = q + side * (width + 1);
  T* const p = kv + side * (width + 1);
  const AttentionTile tile = x.tiles[blockIdx.x];
  const int head = static_cast<int>(blockIdx.y), kv_head = head / shape.group;
  const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
  load_tile<width, side>(x.q + tile.first * shape.q_stride + head * shape.head_dim, shape.q_stride, tile.count,
                         shape.head_dim, x.scale, q);
  // Finite, so that a row of padding does not become infinity - infinity.
  constexpr T lowest = static_cast<T>(-1e30);
  T max[n], sum[n], out[n][width / tile_side];
  for (int i = 0; i < n; ++i) {
    max[i] = lowest;
    sum[i] = 0;
    for (int c = 0; c < width / tile_side; ++c) out[i][c] = 0;
  }
  for (int key = 0; key < tile.other_count; key += side) {
    const int keys = tile.other_count - key < side ? tile.other_count - key : side;
    const std::int64_t at = (tile.other_first + key) * shape.kv_stride + kv_head * shape.head_dim;
    __syncthreads();  // the last values have been read
    load_tile<width, side>(x.k + at, shape.kv_stride, keys, shape.head_dim, T{1}, kv);
    __syncthreads();
    T scores[n][n];
    multiply_tiles<width>(q, kv, scores);
    for (int i = 0; i < n; ++i) {
      const int seen = tile.position + ty + tile_side * i + 1 - key;  // keys of this tile, from its first one
      T row_max = max[i];
      for (int j = 0; j < n; ++j) {
        if (tx + tile_side * j >= seen || tx + tile_side * j >= keys) scores[i][j] = lowest;
        row_max = Max{}(row_max, scores[i][j]);
      }
      row_max = reduce_lanes(row_max, tile_side, Max{});
      const T correction = exp(max[i] - row_max);
      T row_sum = 0;
      for (int j = 0; j < n; ++j) {
        const T e = scores[i][j] == lowest ? T{0} : exp(scores[i][j] - row_max);
        p[(ty + tile_side * i) * (side + 1) + tx + tile_side * j] = e;
        row_sum += e;
      }
      sum[i] = sum[i] * correction + reduce_lanes(row_sum, tile_side, Add{});
      max[i] = row_max;
      for (int c = 0; c < width / tile_side; ++c) out[i][c] *= correction;
    }
    __syncthreads();  // the keys have been read, the exponentials are written
    load_tile<width, side>(x.v + at, shape.kv_stride, keys, shape.head_dim, T{1}, kv);
    __syncthreads();
    accumulate_rows<width, n, false>(p, kv, out);
  }
  for (int i = 0; i < n; ++i) {
    const int row = ty + tile_side * i;
    for (int c = 0; c < width / tile_side; ++c) out[i][c] /= sum[i];
    if (tx == 0 && row < tile.count) {
      x.lse[(tile.first + row) * std::int64_t{shape.n_heads} + head] = max[i] + log(sum[i]);
    }
  }
  store_rows<width>(out, T{1}, tile.count, shape.head_dim, shape.q_stride,
                    x.out + tile.first * shape.q_stride + head * shape.head_dim);
}

}  // namespace

void attention(const Tensor& q, const Tensor& k, const Tensor& v, const ops::AttentionLayout& layout,
               const ops::AttentionHeads& heads, const Tensor& out, const Tensor& lse) {
  if (q.rows() == 0) return;
  if (multiplies_bf16(q, layout, heads)) return attention_bf16(q, k, v, layout, heads, out, lse);
  Context& device = context(q);
  const AttentionShape shape = attention_shape(heads);
  visit_real(q.dtype(), "attention", [&]<typename T>(T) {
    visit_head<T>(heads.head_dim, [&]<int width, int n>() {
      const auto tiles = query_tiles(layout, tile_side * n);
      const Operands<T> x{elements<const T>(q), elements<const T>(k),
                          elements<const T>(v), elements<T>(out),
                          elements<T>(lse),     upload(device, std::span<const AttentionTile>(tiles)),
                          score_scale<T>(heads)};
      launch(attention_kernel<T, width, n>,
             dim3(static_cast<unsigned>(tiles.size()), static_cast<unsigned>(heads.n_heads)),
             dim3(tile_side, tile_side), shared_bytes<T, width, n>(), device.stream, x, shape);
    });
  });
}

}  // namespace csreft::cuda
