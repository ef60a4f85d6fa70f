// Gradients of attention (Dao et al. 2022, algorithm 4). With P = exp(S - lse), S = q k^T / sqrt(head_dim), and
// delta = rowsum(dout * out):
//   dv = P^T dout, dS = P * (dout v^T - delta), dq = dS k / sqrt(head_dim), dk = dS^T q / sqrt(head_dim).
// One kernel goes over tiles of keys and owns dk and dv, another over tiles of queries and owns dq: the scores are
// computed twice, no sum is shared between blocks, and each has one fixed order.
#include <numeric>

#include "core/cuda/attention_bf16.h"
#include "core/cuda/attention_tiles.cuh"
#include "core/cuda/ops.h"
#include "core/cuda/reduce.cuh"

namespace csreft::cuda {
namespace {

template <typename T>
struct Operands {
  const T *dout, *q, *k, *v, *lse, *delta;
  T *dq, *dk, *dv;
  const AttentionTile* tiles;
  T scale;
};

template <typename T, int width, int n>
constexpr std::size_t shared_bytes() {
  constexpr std::size_t side = tile_side * n;
  constexpr std::size_t bytes = sizeof(T) * (4 * side * (width + 1) + 2 * side * (side + 1) + 2 * side);
  static_assert(bytes <= most_shared_bytes);
  return bytes;
}

// delta [n, n_heads]: a warp for each query and head.
template <typename T>
__global__ void delta_kernel(const T* dout, const T* out, T* delta, std::int64_t n, int head_dim) {
  const std::int64_t row = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / warp_threads;
  T sum = 0;
  if (row < n) {
    for (int c = static_cast<int>(threadIdx.x % warp_threads); c < head_dim; c += static_cast<int>(warp_threads)) {
      sum += dout[row * head_dim + c] * out[row * head_dim + c];
    }
  }
  sum = reduce_lanes(sum, warp_threads, Add{});
  if (row < n && threadIdx.x % warp_threads == 0) delta[row] = sum;
}

// What a block keeps in dynamic shared memory: rows of queries (times the scale) and of their dout, rows of keys and
// values, P and dS [queries][keys], and the queries' lse and delta.
template <typename T, int width, int n>
struct Shared {
  static constexpr int side = tile_side * n;
  __device__ explicit Shared(T* memory)
      : q(memory),
        dout(q + side * (width + 1)),
        k(dout + side * (width + 1)),
        v(k + side * (width + 1)),
        p(v + side * (width + 1)),
        ds(p + side * (side + 1)),
        lse(ds + side * (side + 1)),
        delta(lse + side) {}

  __device__ void load_queries(const Operands<T>& x, const AttentionShape& shape, std::int64_t first, int count,
                               int head) {
    const std::int64_t at = first * shape.q_stride + head * shape.head_dim;
    load_tile<width, side>(x.q + at, shape.q_stride, count, shape.head_dim, x.scale, q);
    load_tile<width, side>(x.dout + at, shape.q_stride, count, shape.head_dim, T{1}, dout);
    const int row = static_cast<int>(threadIdx.y * tile_side + threadIdx.x);
    if (row < side) {
      lse[row] = row < count ? x.lse[(first + row) * shape.n_heads + head] : T{0};
      delta[row] = row < count ? x.delta[(first + row) * shape.n_heads + head] : T{0};
    }
  }

  __device__ void load_keys(const Operands<T>& x, const AttentionShape& shape, std::int64_t first, int count,
                            int kv_head) {
    const std::int64_t at = first * shape.kv_stride + kv_head * shape.head_dim;
    load_tile<width, side>(x.k + at, shape.kv_stride, count, shape.head_dim, T{1}, k);
    load_tile<width, side>(x.v + at, shape.kv_stride, count, shape.head_dim, T{1}, v);
  }

  // P and dS of the queries and keys that are loaded; q_position and k_position are those of their first rows.
  __device__ void differentiate(int q_count, int q_position, int k_count, int k_position) {
    T scores[n][n], products[n][n];
    multiply_tiles<width>(q, k, scores);
    multiply_tiles<width>(dout, v, products);
    for (int i = 0; i < n; ++i) {
      const int row = static_cast<int>(threadIdx.y) + tile_side * i;
      for (int j = 0; j < n; ++j) {
        const int column = static_cast<int>(threadIdx.x) + tile_side * j;
        const bool seen = row < q_count && column < k_count && k_position + column <= q_position + row;
        const T probability = seen ? exp(scores[i][j] - lse[row]) : T{0};
        p[row * (side + 1) + column] = probability;
        ds[row * (side + 1) + column] = probability * (products[i][j] - delta[row]);
      }
    }
  }

  T *q, *dout, *k, *v, *p, *ds, *lse, *delta;
};

// blockIdx.x is the tile of keys, blockIdx.y the key/value head.
template <typename T, int width, int n>
__global__ void __launch_bounds__(tile_side* tile_side, 1)
    keys_kernel(const Operands<T> x, const AttentionShape shape) {
  constexpr int side = tile_side * n;
  CSREFT_DYNAMIC_SHARED(T, memory);
  Shared<T, width, n> shared(memory);
  const AttentionTile tile = x.tiles[blockIdx.x];
  const int kv_head = static_cast<int>(blockIdx.y);
  shared.load_keys(x, shape, tile.first, tile.count, kv_head);
  T dk[n][width / tile_side], dv[n][width / tile_side];
  for (int i = 0; i < n; ++i) {
    for (int c = 0; c < width / tile_side; ++c) dk[i][c] = dv[i][c] = 0;
  }
  for (int head = kv_head * shape.group; head < (kv_head + 1) * shape.group; ++head) {
    for (int query = 0; query < tile.other_count; query += side) {
      const int queries = tile.other_count - query < side ? tile.other_count - query : side;
      __syncthreads();  // the last queries have been read
      shared.load_queries(x, shape, tile.other_first + query, queries, head);
      __syncthreads();
      shared.differentiate(queries, tile.other_position + query, tile.count, tile.position);
      __syncthreads();
      accumulate_rows<width, n, true>(shared.p, shared.dout, dv);
      accumulate_rows<width, n, true>(shared.ds, shared.q, dk);
    }
  }
  const std::int64_t at = tile.first * shape.kv_stride + kv_head * shape.head_dim;
  store_rows<width>(dk, T{1}, tile.count, shape.head_dim, shape.kv_stride, x.dk + at);
  store_rows<width>(dv, T{1}, tile.count, shape.head_dim, shape.kv_stride, x.dv + at);
}

// blockIdx.x is the tile of queries, blockIdx.y the head.
template <typename T, int width, int n>
__global__ void __launch_bounds__(tile_side* tile_side, 1)
    queries_kernel(const Operands<T> x, const AttentionShape shape) {
  constexpr int side = tile_side * n;
  CSREFT_DYNAMIC_SHARED(T, memory);
  Shared<T, width, n> shared(memory);
  const AttentionTile tile = x.tiles[blockIdx.x];
  const int head = static_cast<int>(blockIdx.y);
  shared.load_queries(x, shape, tile.first, tile.count, head);
  T dq[n][width / tile_side];
  for (int i = 0; i < n; ++i) {
    for (int c = 0; c < width / tile_side; ++c) dq[i][c] = 0;
  }
  for (int key = 0; key < tile.other_count; key += side) {
    const int keys = tile.other_count - key < side ? tile.other_count - key : side;
    __syncthreads();  // the last keys have been read
    shared.load_keys(x, shape, tile.other_first + key, keys, head / shape.group);
    __syncthreads();
    shared.differentiate(tile.count, tile.position, keys, key);
    __syncthreads();
    accumulate_rows<width, n, false>(shared.ds, shared.k, dq);
  }
  store_rows<width>(dq, x.scale, tile.count, shape.head_dim, shape.q_stride,
                    x.dq + tile.first * shape.q_stride + head * shape.head_dim);
}

// Keys of no sequence have no gradient, and no kernel writes it. Sequences share no keys.
bool every_key_has_a_sequence(const ops::AttentionLayout& layout, std::int64_t n_keys) {
  const auto lengths = layout.k_lengths.span<std::int32_t>();
  return std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}) == n_keys;
}

}  // namespace

void attention_backward(const Tensor& dout, const Tensor& q, const Tensor& k, const Tensor& v,
                        const ops::Attention& forward, const ops::AttentionLayout& layout,
                        const ops::AttentionHeads& heads, const Tensor& dq, const Tensor& dk, const Tensor& dv) {
  Context& device = context(q);
  const AttentionShape shape = attention_shape(heads);
  if (q.rows() == 0 || !every_key_has_a_sequence(layout, k.rows())) {
    fill(0, dk);
    fill(0, dv);
  }
  if (q.rows() == 0) return;
  const Tensor delta = Tensor::empty(forward.lse.shape(), q.dtype(), q.device());
  const dim3 block(tile_side, tile_side);
  visit_real(q.dtype(), "attention_backward", [&]<typename T>(T) {
    constexpr std::int64_t rows_per_block = block_threads / warp_threads;
    launch(delta_kernel<T>, row_grid((delta.numel() + rows_per_block - 1) / rows_per_block), dim3(block_threads), 0,
           device.stream, elements<const T>(dout), elements<const T>(forward.out), elements<T>(delta), delta.numel(),
           shape.head_dim);
    if (multiplies_bf16(q, layout, heads)) {
      return attention_backward_bf16(dout, q, k, v, forward.lse, delta, layout, heads, dq, dk, dv);
    }
    Operands<T> x{elements<const T>(dout),
                  elements<const T>(q),
                  elements<const T>(k),
                  elements<const T>(v),
                  elements<const T>(forward.lse),
                  elements<const T>(delta),
                  elements<T>(dq),
                  elements<T>(dk),
                  elements<T>(dv),
                  nullptr,
                  score_scale<T>(heads)};
    visit_head<T>(heads.head_dim, [&]<int width, int n>() {
      constexpr std::size_t shared = shared_bytes<T, width, n>();
      const auto of_keys = key_tiles(layout, tile_side * n), of_queries = query_tiles(layout, tile_side * n);
      x.tiles = upload(device, std::span<const AttentionTile>(of_keys));
      launch(keys_kernel<T, width, n>,
             dim3(static_cast<unsigned>(of_keys.size()), static_cast<unsigned>(heads.n_kv_heads)), block, shared,
             device.stream, x, shape);
      x.tiles = upload(device, std::span<const AttentionTile>(of_queries));
      launch(queries_kernel<T, width, n>,
             dim3(static_cast<unsigned>(of_queries.size()), static_cast<unsigned>(heads.n_heads)), block, shared,
             device.stream, x, shape);
    });
  });
}

}  // namespace csreft::cuda
