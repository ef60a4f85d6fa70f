// Tiles of attention on tensor cores, shared by its forward and its backward.
//
// A block owns 64 rows (queries or keys) of one head, a warp 16 of them; 32 rows of the other matrix at a time pass
// under them. Factors lie in shared memory as bf16, their rows 16 bytes longer than a head, which spreads them over the
// banks. Sums stay in the fragments of WMMA. Which thread has which element of a fragment is not specified, but the
// same for all fragments of sums: kernels find it out by loading the elements' numbers.
#pragma once

#include "core/cuda/attention_tiles.cuh"

namespace csreft::cuda {

inline constexpr int fragment_side = 16, own_rows = 64, passing_rows = 32;
inline constexpr int fragment_elements = 8;  // of a thread, in a fragment of sums

// From one row to the next in shared memory: of a head, of weights [16][passing rows], of their scores in f32.
template <int width>
inline constexpr int head_stride = width + 8;
inline constexpr int weight_stride = passing_rows + 8, score_stride = passing_rows + 4;

using Bf16 = __nv_bfloat16;
using Sums = nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float>;
using LeftFactor = nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 16, Bf16, nvcuda::wmma::row_major>;
template <typename Layout>
using RightFactor = nvcuda::wmma::fragment<nvcuda::wmma::matrix_b, 16, 16, 16, Bf16, Layout>;

template <int columns>
using RowSums = Sums[columns / fragment_side];  // [16][columns]

// Calls f with the width that a head is padded to.
template <typename F>
void visit_bf16_head(std::int64_t head_dim, const F& f) {
  if (head_dim <= 64) return f.template operator()<64>();
  f.template operator()<128>();
}

// Rounds `count` rows of a head to bf16, into a tile of `rows` rows; what lies outside is 0.
template <int width, int rows, int threads>
__device__ void load_bf16_tile(const float* from, std::int64_t stride, int count, int head_dim, Bf16* tile) {
  constexpr int quads = width / 4, rows_at_once = threads / quads;
  const int column = static_cast<int>(threadIdx.x) % quads * 4;
  int row = static_cast<int>(threadIdx.x) / quads;
  const float* at = from + row * stride + column;
  for (; row < rows; row += rows_at_once, at += rows_at_once * stride) {
    float4 x = make_float4(0, 0, 0, 0);
    if (row < count && head_dim % 4 == 0) {
      if (column < head_dim) x = *reinterpret_cast<const float4*>(at);
    } else if (row < count) {
      if (column < head_dim) x.x = at[0];
      if (column + 1 < head_dim) x.y = at[1];
      if (column + 2 < head_dim) x.z = at[2];
      if (column + 3 < head_dim) x.w = at[3];
    }
    auto* const to = reinterpret_cast<__nv_bfloat162*>(tile + row * head_stride<width> + column);
    to[0] = __floats2bfloat162_rn(x.x, x.y);
    to[1] = __floats2bfloat162_rn(x.z, x.w);
  }
}

// Numbers the elements of a fragment in `numbers` [16][16], shared memory, as 16 row + column. The whole block calls
// it.
__device__ inline void number_elements(float* numbers) {
  for (int i = static_cast<int>(threadIdx.x); i < fragment_side * fragment_side; i += static_cast<int>(blockDim.x)) {
    numbers[i] = static_cast<float>(i);
  }
  __syncthreads();
}

// The place of each of a thread's elements, read from there where it is needed: registers are scarce.
class FragmentPlaces {
 public:
  __device__ explicit FragmentPlaces(const float* numbers) {
    nvcuda::wmma::load_matrix_sync(numbers_, numbers, fragment_side, nvcuda::wmma::mem_row_major);
  }
  __device__ int row(int i) const { return static_cast<int>(numbers_.x[i]) / fragment_side; }
  __device__ int column(int i) const { return static_cast<int>(numbers_.x[i]) % fragment_side; }

 private:
  Sums numbers_;
};

template <int columns>
__device__ void clear(RowSums<columns>& sums) {
#pragma unroll
  for (int c = 0; c < columns / fragment_side; ++c) nvcuda::wmma::fill_fragment(sums[c], 0.0F);
}

// own [16][width] passing [16][width]^T
template <int width>
__device__ Sums multiply_passing(const Bf16* own, const Bf16* passing) {
  Sums scores;
  nvcuda::wmma::fill_fragment(scores, 0.0F);
  for (int c = 0; c < width; c += fragment_side) {
    LeftFactor left;
    nvcuda::wmma::load_matrix_sync(left, own + c, head_stride<width>);
    RightFactor<nvcuda::wmma::col_major> right;
    nvcuda::wmma::load_matrix_sync(right, passing + c, head_stride<width>);
    nvcuda::wmma::mma_sync(scores, left, right, scores);
  }
  return scores;
}

// out [16][columns] += weights [16][passing rows] passing [passing rows][columns], of rows as wide as a head
template <int width, int columns>
__device__ void accumulate_passing(const Bf16* weights, const Bf16* passing, RowSums<columns>& out) {
  for (int r = 0; r < passing_rows; r += fragment_side) {
    LeftFactor left;
    nvcuda::wmma::load_matrix_sync(left, weights + r, weight_stride);
#pragma unroll
    for (int c = 0; c < columns / fragment_side; ++c) {
      RightFactor<nvcuda::wmma::row_major> right;
      nvcuda::wmma::load_matrix_sync(right, passing + r * head_stride<width> + c * fragment_side, head_stride<width>);
      nvcuda::wmma::mma_sync(out[c], left, right, out[c]);
    }
  }
}

// Writes what lies in the first n_rows rows and n_columns columns.
template <int columns>
__device__ void store_sums(const RowSums<columns>& sums, const float* numbers, int n_rows, int n_columns,
                           std::int64_t stride, float* to) {
  const FragmentPlaces places(numbers);
#pragma unroll
  for (int c = 0; c < columns / fragment_side; ++c) {
    for (int i = 0; i < fragment_elements; ++i) {
      const int row = places.row(i), column = c * fragment_side + places.column(i);
      if (row < n_rows && column < n_columns) to[row * stride + column] = sums[c].x[i];
    }
  }
}

}  // namespace csreft::cuda
