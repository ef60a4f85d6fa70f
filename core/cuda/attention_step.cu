// Attention of one query a sequence against the keys and values of its past, in two kernels: each block takes a chunk
// of the keys for one head, so that a single long sequence still fills the device; then the chunks are joined. Both
// read the lengths on the device, and the grid depends on the longest that is possible: a recorded step grows.
#include <cmath>
#include <cstdint>

#include "core/cuda/attention_tiles.cuh"
#include "core/cuda/grid.cuh"
#include "core/cuda/ops.h"
#include "core/cuda/reduce.cuh"

namespace csreft::cuda {
namespace {

constexpr int chunk_keys = 128;
constexpr unsigned step_threads = 128;

template <typename T>
struct StepOperands {
  const T* q;
  const std::int32_t *starts, *lengths;
  T scale;
  // Of each sequence, head and chunk: the sum of exponentials times values [head_dim], the largest score and the sum
  // of exponentials [2].
  T *sums, *stats;
  T* out;
};

__device__ std::int64_t chunk_index(int sequence, int head, int chunk, int heads, int chunks) {
  return (std::int64_t{sequence} * heads + head) * chunks + chunk;
}

// blockIdx: chunk, head, sequence. Dynamic shared memory: what the parts of the block have summed [parts][head_dim].
// Keys and values of type Kept are exact in T.
template <typename T, typename Kept>
__global__ void __launch_bounds__(step_threads)
    attention_chunk_kernel(const StepOperands<T> x, const Kept* all_k, const Kept* all_v, const AttentionShape s) {
  CSREFT_DYNAMIC_SHARED(T, partial);
  using Weights = T[chunk_keys];
  CSREFT_SHARED(Weights, weights);
  CSREFT_SHARED(WarpValues<T>, scratch);
  const int chunk = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const int sequence = static_cast<int>(blockIdx.z), thread = static_cast<int>(threadIdx.x);
  const int first = chunk * chunk_keys, length = x.lengths[sequence];
  if (first >= length) return;
  const int keys = length - first < chunk_keys ? length - first : chunk_keys;
  const std::int64_t at = (std::int64_t{x.starts[sequence]} + first) * s.kv_stride + head / s.group * s.head_dim;
  const T* const q = x.q + sequence * s.q_stride + head * s.head_dim;

  const int lane = thread % static_cast<int>(warp_threads);
  for (int key = thread / static_cast<int>(warp_threads); key < keys;
       key += static_cast<int>(step_threads / warp_threads)) {
    const Kept* const k = all_k + at + key * s.kv_stride;
    T score = 0;
    for (int c = lane; c < s.head_dim; c += static_cast<int>(warp_threads)) score += q[c] * static_cast<T>(k[c]);
    score = reduce_lanes(score, warp_threads, Add{});
    if (lane == 0) weights[key] = x.scale * score;
  }
  __syncthreads();
  // A thread a key: a chunk has no more keys than the block threads.
  const T score = thread < keys ? weights[thread] : static_cast<T>(-INFINITY);
  const T largest = reduce_block(score, scratch, Max{});
  const T weight = thread < keys ? exp(score - largest) : T{0};
  const T sum = reduce_block(weight, scratch, Add{});
  weights[thread] = weight;
  __syncthreads();

  const int parts = static_cast<int>(step_threads) > s.head_dim ? static_cast<int>(step_threads) / s.head_dim : 1;
  for (int i = thread; i < parts * s.head_dim; i += static_cast<int>(step_threads)) {
    const int column = i % s.head_dim;
    T total = 0;
    for (int key = i / s.head_dim; key < keys; key += parts) {
      total += weights[key] * static_cast<T>(all_v[at + key * s.kv_stride + column]);
    }
    partial[i] = total;
  }
  __syncthreads();
  const std::int64_t index = chunk_index(sequence, head, chunk, s.n_heads, static_cast<int>(gridDim.x));
  for (int column = thread; column < s.head_dim; column += static_cast<int>(step_threads)) {
    T total = 0;
    for (int part = 0; part < parts; ++part) total += partial[part * s.head_dim + column];
    x.sums[index * s.head_dim + column] = total;
  }
  if (thread == 0) {
    x.stats[2 * index] = largest;
    x.stats[2 * index + 1] = sum;
  }
}

// blockIdx: head, sequence.
template <typename T>
__global__ void __launch_bounds__(step_threads)
    join_chunks_kernel(const StepOperands<T> x, const AttentionShape s, const int most_chunks) {
  const int head = static_cast<int>(blockIdx.x), sequence = static_cast<int>(blockIdx.y);
  const int chunks = (x.lengths[sequence] + chunk_keys - 1) / chunk_keys;
  const std::int64_t first = chunk_index(sequence, head, 0, s.n_heads, most_chunks);
  T largest = x.stats[2 * first];
  for (int chunk = 1; chunk < chunks; ++chunk) largest = Max{}(largest, x.stats[2 * (first + chunk)]);
  T sum = 0;
  for (int chunk = 0; chunk < chunks; ++chunk) {
    sum += exp(x.stats[2 * (first + chunk)] - largest) * x.stats[2 * (first + chunk) + 1];
  }
  for (int column = static_cast<int>(threadIdx.x); column < s.head_dim; column += static_cast<int>(step_threads)) {
    T total = 0;
    for (int chunk = 0; chunk < chunks; ++chunk) {
      total += exp(x.stats[2 * (first + chunk)] - largest) * x.sums[(first + chunk) * s.head_dim + column];
    }
    x.out[sequence * s.q_stride + head * s.head_dim + column] = total / sum;
  }
}

template <typename T, typename Kept>
void attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& starts, const Tensor& lengths,
            std::int64_t longest, const ops::AttentionHeads& heads, const Tensor& out) {
  Context& device = context(q);
  const AttentionShape shape = attention_shape(heads);
  const auto chunks = (longest + chunk_keys - 1) / chunk_keys;
  const auto of = [](std::int64_t n) { return static_cast<unsigned>(n); };
  const Tensor sums = Tensor::empty({q.rows() * heads.n_heads * chunks, heads.head_dim}, q.options());
  const Tensor stats = Tensor::empty({sums.rows(), 2}, q.options());
  const std::size_t partial = std::max<std::size_t>(step_threads, static_cast<std::size_t>(heads.head_dim));
  const StepOperands<T> x{elements<const T>(q), upload(device, starts), upload(device, lengths), score_scale<T>(heads),
                          elements<T>(sums),    elements<T>(stats),     elements<T>(out)};
  launch(attention_chunk_kernel<T, Kept>, dim3(of(chunks), of(heads.n_heads), of(q.rows())), dim3(step_threads),
         partial * sizeof(T), device.stream, x, elements<const Kept>(k), elements<const Kept>(v), shape);
  launch(join_chunks_kernel<T>, dim3(of(heads.n_heads), of(q.rows())), dim3(step_threads), 0, device.stream, x, shape,
         static_cast<int>(chunks));
}

}  // namespace

void attention_step(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& starts, const Tensor& lengths,
                    std::int64_t longest, const ops::AttentionHeads& heads, const Tensor& out) {
  if (q.rows() == 0) return;
  if (k.dtype() == DType::bf16) {
    return attend<float, __nv_bfloat16>(q, k, v, starts, lengths, longest, heads, out);
  }
  visit_real(q.dtype(), "attention_step",
             [&]<typename T>(T) { attend<T, T>(q, k, v, starts, lengths, longest, heads, out); });
}

}  // namespace csreft::cuda
