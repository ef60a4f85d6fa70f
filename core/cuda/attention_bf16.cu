// Causal grouped-query attention on tensor cores, forward: see attention.cu, and attention_bf16.cuh for its tiles.
#include "core/cuda/attention_bf16.cuh"
#include "core/cuda/attention_bf16.h"
#include "core/cuda/ops.h"
#include "core/cuda/reduce.cuh"

namespace csreft::cuda {
namespace {

constexpr int threads = own_rows / fragment_side * static_cast<int>(warp_threads);

struct Operands {
  const float *q, *k, *v;
  float *out, *lse;
  const AttentionTile* tiles;
  float scale;
};

// What a block keeps in shared memory; p, s and factor are the calling warp's own.
template <int width>
struct Shared {
  static constexpr int stride = head_stride<width>;
  static constexpr std::size_t factors = (own_rows + 2 * passing_rows) * stride + own_rows * weight_stride;
  static constexpr std::size_t floats = own_rows * score_stride + own_rows + fragment_side * fragment_side;
  static constexpr std::size_t bytes = factors * sizeof(Bf16) + floats * sizeof(float);
  static_assert(bytes <= most_shared_bytes);

  __device__ Shared(Bf16* memory, int warp)
      : q(memory),
        k(q + own_rows * stride),
        v(k + passing_rows * stride),
        p(v + passing_rows * stride + warp * fragment_side * weight_stride),
        s(reinterpret_cast<float*>(memory + factors) + warp * fragment_side * score_stride),
        factor(reinterpret_cast<float*>(memory + factors) + own_rows * score_stride + warp * fragment_side),
        numbers(reinterpret_cast<float*>(memory + factors) + own_rows * (score_stride + 1)) {}

  Bf16 *q, *k, *v, *p;
  float *s, *factor, *numbers;
};

// The softmax of one of a warp's 16 rows so far. Two threads share a row; each has every second of the passing keys.
struct RunningSoftmax {
  // Finite, so that a row of padding does not become infinity - infinity.
  static constexpr float lowest = -1e30F;
  float max = lowest, sum = 0;

  // Takes the scores of the next keys, of which the row sees the first `seen`, writes their exponentials, and returns
  // what earlier ones are to be multiplied by.
  __device__ float take(const float* scores, float scale, int seen, int half, Bf16* exponentials) {
    float values[passing_rows / 2], row_max = max;
    for (int j = 0; j < passing_rows / 2; ++j) {
      values[j] = 2 * j + half < seen ? scores[2 * j + half] * scale : lowest;
      row_max = Max{}(row_max, values[j]);
    }
    row_max = reduce_lanes(row_max, 2, Max{});
    const float correction = exp(max - row_max);
    float row_sum = 0;
    for (int j = 0; j < passing_rows / 2; ++j) {
      const float e = values[j] == lowest ? 0 : exp(values[j] - row_max);
      exponentials[2 * j + half] = __float2bfloat16(e);
      row_sum += e;
    }
    sum = sum * correction + reduce_lanes(row_sum, 2, Add{});
    max = row_max;
    return correction;
  }
};

// Multiplies each of a warp's 16 rows by its factor.
template <int width>
__device__ void scale_sums(const float* factor, const float* numbers, RowSums<width>& sums) {
  const FragmentPlaces places(numbers);
  float factors[fragment_elements];
  for (int i = 0; i < fragment_elements; ++i) factors[i] = factor[places.row(i)];
#pragma unroll
  for (int c = 0; c < width / fragment_side; ++c) {
    for (int i = 0; i < fragment_elements; ++i) sums[c].x[i] *= factors[i];
  }
}

// blockIdx.x is the tile of queries, blockIdx.y the head.
template <int width>
__global__ void __launch_bounds__(threads, 2) attention_bf16_kernel(const Operands x, const AttentionShape shape) {
  CSREFT_DYNAMIC_SHARED(Bf16, memory);
  const int warp = static_cast<int>(threadIdx.x / warp_threads), lane = static_cast<int>(threadIdx.x % warp_threads);
  const int row = lane / 2, half = lane % 2, first = warp * fragment_side;
  const Shared<width> shared(memory, warp);
  const AttentionTile tile = x.tiles[blockIdx.x];
  const int head = static_cast<int>(blockIdx.y), kv_head = head / shape.group;
  const std::int64_t q_at = tile.first * shape.q_stride + head * shape.head_dim;
  load_bf16_tile<width, own_rows, threads>(x.q + q_at, shape.q_stride, tile.count, shape.head_dim, shared.q);
  number_elements(shared.numbers);
  RunningSoftmax softmax;
  RowSums<width> out;
  clear<width>(out);
  for (int key = 0; key < tile.other_count; key += passing_rows) {
    const int keys = tile.other_count - key < passing_rows ? tile.other_count - key : passing_rows;
    const std::int64_t at = (tile.other_first + key) * shape.kv_stride + kv_head * shape.head_dim;
    __syncthreads();  // the last keys and values have been read
    load_bf16_tile<width, passing_rows, threads>(x.k + at, shape.kv_stride, keys, shape.head_dim, shared.k);
    load_bf16_tile<width, passing_rows, threads>(x.v + at, shape.kv_stride, keys, shape.head_dim, shared.v);
    __syncthreads();
    for (int c = 0; c < passing_rows; c += fragment_side) {
      const Sums scores =
          multiply_passing<width>(shared.q + first * head_stride<width>, shared.k + c * head_stride<width>);
      nvcuda::wmma::store_matrix_sync(shared.s + c, scores, score_stride, nvcuda::wmma::mem_row_major);
    }
    __syncwarp();
    const int visible = tile.position + first + row + 1 - key;
    const float correction = softmax.take(shared.s + row * score_stride, x.scale, visible < keys ? visible : keys, half,
                                          shared.p + row * weight_stride);
    if (half == 0) shared.factor[row] = correction;
    __syncwarp();
    scale_sums<width>(shared.factor, shared.numbers, out);
    accumulate_passing<width, width>(shared.p, shared.v, out);
  }
  __syncwarp();  // the last corrections have been read
  if (half == 0) {
    shared.factor[row] = 1 / softmax.sum;
    if (first + row < tile.count) {
      x.lse[(tile.first + first + row) * std::int64_t{shape.n_heads} + head] = softmax.max + log(softmax.sum);
    }
  }
  __syncwarp();
  scale_sums<width>(shared.factor, shared.numbers, out);
  store_sums<width>(out, shared.numbers, tile.count - first, shape.head_dim, shape.q_stride,
                    x.out + q_at + first * shape.q_stride);
}

}  // namespace

bool multiplies_bf16(const Tensor& q, const ops::AttentionLayout& layout, const ops::AttentionHeads& heads) {
  return heads.bf16_products && q.dtype() == DType::f32 && heads.head_dim <= 128 &&
         q.rows() >= fragment_side * layout.k_starts.numel();
}

void attention_bf16(const Tensor& q, const Tensor& k, const Tensor& v, const ops::AttentionLayout& layout,
                    const ops::AttentionHeads& heads, const Tensor& out, const Tensor& lse) {
  Context& device = context(q);
  const auto tiles = query_tiles(layout, own_rows);
  const Operands x{elements<const float>(q), elements<const float>(k),
                   elements<const float>(v), elements<float>(out),
                   elements<float>(lse),     upload(device, std::span<const AttentionTile>(tiles)),
                   score_scale<float>(heads)};
  visit_bf16_head(heads.head_dim, [&]<int width>() {
    launch(attention_bf16_kernel<width>,
           dim3(static_cast<unsigned>(tiles.size()), static_cast<unsigned>(heads.n_heads)), dim3(threads),
           Shared<width>::bytes, device.stream, x, attention_shape(heads));
  });
}

}  // namespace csreft::cuda
