// Gradients of attention on tensor cores: see attention_backward.cu for the formulas and the order of sums, and
// attention_bf16.cuh for the tiles.
#include "core/cuda/attention_bf16.cuh"
#include "core/cuda/attention_bf16.h"
#include "core/cuda/ops.h"
#include "core/cuda/reduce.cuh"

namespace csreft::cuda {
namespace {

// A warp sums 64 columns of its 16 rows' gradients: wider heads have more warps for the same rows, which then share
// the work on P and dS, too. All of a head's columns in one warp would not fit into its registers.
constexpr int warp_columns = 64;
template <int width>
inline constexpr int sharing_warps = width / warp_columns;
template <int width>
inline constexpr int threads = own_rows / fragment_side* sharing_warps<width>* static_cast<int>(warp_threads);
using Gradient = RowSums<warp_columns>;

struct Operands {
  const float *dout, *q, *k, *v, *lse, *delta;
  float *dq, *dk, *dv;
  const AttentionTile* tiles;
  float scale;
};

// Queries with their dout, keys with their values.
struct Pair {
  Bf16 *first, *second;
};

// What a block keeps in shared memory: the pair that it owns, the pair that passes, of the queries lse and delta, and
// P and dS [own][passing].
template <int width>
struct Shared {
  static constexpr int stride = head_stride<width>;
  static constexpr std::size_t factors = 2 * (own_rows + passing_rows) * stride + 2 * own_rows * weight_stride;
  static constexpr std::size_t floats = 2 * own_rows + fragment_side * fragment_side;
  static constexpr std::size_t bytes = factors * sizeof(Bf16) + floats * sizeof(float);
  static_assert(bytes <= most_shared_bytes);

  __device__ explicit Shared(Bf16* memory)
      : own{memory, memory + own_rows * stride},
        passing{own.second + own_rows * stride, own.second + (own_rows + passing_rows) * stride},
        p(passing.second + passing_rows * stride),
        ds(p + own_rows * weight_stride),
        numbers(reinterpret_cast<float*>(memory + factors)),
        lse(numbers + fragment_side * fragment_side),
        delta(lse + own_rows) {}

  Pair own, passing;
  Bf16 *p, *ds;
  float *numbers, *lse, *delta;
};

template <int width, int rows>
__device__ void load_queries(const Operands& x, const AttentionShape& shape, std::int64_t first, int count, int head,
                             const Pair& to, float* lse, float* delta) {
  const std::int64_t at = first * shape.q_stride + head * shape.head_dim;
  load_bf16_tile<width, rows, threads<width>>(x.q + at, shape.q_stride, count, shape.head_dim, to.first);
  load_bf16_tile<width, rows, threads<width>>(x.dout + at, shape.q_stride, count, shape.head_dim, to.second);
  const int row = static_cast<int>(threadIdx.x);
  if (row < rows) {
    lse[row] = row < count ? x.lse[(first + row) * shape.n_heads + head] : 0;
    delta[row] = row < count ? x.delta[(first + row) * shape.n_heads + head] : 0;
  }
}

template <int width, int rows>
__device__ void load_keys(const Operands& x, const AttentionShape& shape, std::int64_t first, int count, int kv_head,
                          const Pair& to) {
  const std::int64_t at = first * shape.kv_stride + kv_head * shape.head_dim;
  load_bf16_tile<width, rows, threads<width>>(x.k + at, shape.kv_stride, count, shape.head_dim, to.first);
  load_bf16_tile<width, rows, threads<width>>(x.v + at, shape.kv_stride, count, shape.head_dim, to.second);
}

// Rows of the two matrices that meet: how many there are, and the positions of the first ones in their sequence.
struct Meeting {
  int q_count, q_position, k_count, k_position;
};

// Which of the block's own rows and of their columns a warp has: 16 from `row` on, 64 from `column` on.
struct Part {
  template <int width>
  static __device__ Part of_warp() {
    const int warp = static_cast<int>(threadIdx.x / warp_threads);
    return {warp / sharing_warps<width> * fragment_side, warp % sharing_warps<width> * warp_columns};
  }

  int row, column;
};

// P and dS of the calling warp's rows and its share of the passing ones. Scores are [keys][queries] where the block
// owns keys, and [queries][keys] where it owns queries.
template <int width, bool owns_keys>
__device__ void differentiate(const Shared<width>& shared, const Meeting& meeting, float scale, const Part& part) {
  constexpr int step = sharing_warps<width> * fragment_side;
  for (int passing = part.column / warp_columns * fragment_side; passing < passing_rows; passing += step) {
    const int own_at = part.row * head_stride<width>, passing_at = passing * head_stride<width>;
    const Sums scores = multiply_passing<width>(shared.own.first + own_at, shared.passing.first + passing_at);
    const Sums products = multiply_passing<width>(shared.own.second + own_at, shared.passing.second + passing_at);
    const FragmentPlaces places(shared.numbers);
    for (int i = 0; i < fragment_elements; ++i) {
      const int row = part.row + places.row(i), column = passing + places.column(i);
      const int query = owns_keys ? column : row, key = owns_keys ? row : column;
      const bool seen =
          query < meeting.q_count && key < meeting.k_count && meeting.k_position + key <= meeting.q_position + query;
      const float probability = seen ? exp(scores.x[i] * scale - shared.lse[query]) : 0;
      const int at = row * weight_stride + column;
      if (owns_keys) shared.p[at] = __float2bfloat16(probability);
      shared.ds[at] = __float2bfloat16(probability * (products.x[i] - shared.delta[query]));
    }
  }
}

__device__ void scale_gradient(float factor, Gradient& gradient) {
  for (auto& sums : gradient) {
    for (int i = 0; i < fragment_elements; ++i) sums.x[i] *= factor;
  }
}

// blockIdx.x is the tile of keys, blockIdx.y the key/value head.
template <int width>
__global__ void __launch_bounds__(threads<width>, 1) keys_bf16_kernel(const Operands x, const AttentionShape shape) {
  CSREFT_DYNAMIC_SHARED(Bf16, memory);
  const Shared<width> shared(memory);
  const Part part = Part::of_warp<width>();
  const AttentionTile tile = x.tiles[blockIdx.x];
  const int kv_head = static_cast<int>(blockIdx.y);
  load_keys<width, own_rows>(x, shape, tile.first, tile.count, kv_head, shared.own);
  number_elements(shared.numbers);
  Gradient dk, dv;
  clear<warp_columns>(dk);
  clear<warp_columns>(dv);
  for (int head = kv_head * shape.group; head < (kv_head + 1) * shape.group; ++head) {
    for (int query = 0; query < tile.other_count; query += passing_rows) {
      const int queries = tile.other_count - query < passing_rows ? tile.other_count - query : passing_rows;
      __syncthreads();  // the last queries have been read
      load_queries<width, passing_rows>(x, shape, tile.other_first + query, queries, head, shared.passing, shared.lse,
                                        shared.delta);
      __syncthreads();
      differentiate<width, true>(shared, {queries, tile.other_position + query, tile.count, tile.position}, x.scale,
                                 part);
      __syncthreads();
      const int weights = part.row * weight_stride;
      accumulate_passing<width, warp_columns>(shared.p + weights, shared.passing.second + part.column, dv);
      accumulate_passing<width, warp_columns>(shared.ds + weights, shared.passing.first + part.column, dk);
    }
  }
  scale_gradient(x.scale, dk);
  const std::int64_t at = (tile.first + part.row) * shape.kv_stride + kv_head * shape.head_dim + part.column;
  const int rows = tile.count - part.row, columns = shape.head_dim - part.column;
  store_sums<warp_columns>(dk, shared.numbers, rows, columns, shape.kv_stride, x.dk + at);
  store_sums<warp_columns>(dv, shared.numbers, rows, columns, shape.kv_stride, x.dv + at);
}

// blockIdx.x is the tile of queries, blockIdx.y the head.
template <int width>
__global__ void __launch_bounds__(threads<width>, 1) queries_bf16_kernel(const Operands x, const AttentionShape shape) {
  CSREFT_DYNAMIC_SHARED(Bf16, memory);
  const Shared<width> shared(memory);
  const Part part = Part::of_warp<width>();
  const AttentionTile tile = x.tiles[blockIdx.x];
  const int head = static_cast<int>(blockIdx.y);
  load_queries<width, own_rows>(x, shape, tile.first, tile.count, head, shared.own, shared.lse, shared.delta);
  number_elements(shared.numbers);
  Gradient dq;
  clear<warp_columns>(dq);
  for (int key = 0; key < tile.other_count; key += passing_rows) {
    const int keys = tile.other_count - key < passing_rows ? tile.other_count - key : passing_rows;
    __syncthreads();  // the last keys have been read
    load_keys<width, passing_rows>(x, shape, tile.other_first + key, keys, head / shape.group, shared.passing);
    __syncthreads();
    differentiate<width, false>(shared, {tile.count, tile.position, keys, key}, x.scale, part);
    __syncthreads();
    accumulate_passing<width, warp_columns>(shared.ds + part.row * weight_stride, shared.passing.first + part.column,
                                            dq);
  }
  scale_gradient(x.scale, dq);
  store_sums<warp_columns>(dq, shared.numbers, tile.count - part.row, shape.head_dim - part.column, shape.q_stride,
                           x.dq + (tile.first + part.row) * shape.q_stride + head * shape.head_dim + part.column);
}

}  // namespace

void attention_backward_bf16(const Tensor& dout, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& lse,
                             const Tensor& delta, const ops::AttentionLayout& layout, const ops::AttentionHeads& heads,
                             const Tensor& dq, const Tensor& dk, const Tensor& dv) {
  Context& device = context(q);
  const AttentionShape shape = attention_shape(heads);
  Operands x{elements<const float>(dout), elements<const float>(q),
             elements<const float>(k),    elements<const float>(v),
             elements<const float>(lse),  elements<const float>(delta),
             elements<float>(dq),         elements<float>(dk),
             elements<float>(dv),         nullptr,
             score_scale<float>(heads)};
  visit_bf16_head(heads.head_dim, [&]<int width>() {
    const auto start = [&](auto* kernel, const std::vector<AttentionTile>& tiles, std::int64_t n_heads) {
      x.tiles = upload(device, std::span<const AttentionTile>(tiles));
      launch(kernel, dim3(static_cast<unsigned>(tiles.size()), static_cast<unsigned>(n_heads)), dim3(threads<width>),
             Shared<width>::bytes, device.stream, x, shape);
    };
    start(keys_bf16_kernel<width>, key_tiles(layout, own_rows), heads.n_kv_heads);
    start(queries_bf16_kernel<width>, query_tiles(layout, own_rows), heads.n_heads);
  });
}

}  // namespace csreft::cuda
