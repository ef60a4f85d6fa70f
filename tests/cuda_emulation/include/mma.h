// Products of 16 x 16 matrices by a warp (WMMA): bf16 factors, f32 sums. As on a device, which lane has which element
// is nobody's business, but the same for all fragments of a kind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>

#include <cuda_bf16.h>
#include <cuda_runtime.h>

namespace nvcuda::wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
enum layout_t { mem_row_major, mem_col_major };

template <typename Use, int m, int n, int k, typename T, typename Layout = void>
struct fragment;

// Factors are kept twice in a warp, as on devices: lane l has row l % 16 of A, or column l % 16 of B.
template <typename Use, typename Layout>
struct fragment<Use, 16, 16, 16, __nv_bfloat16, Layout> {
  static constexpr int num_elements = 16;
  __nv_bfloat16 x[num_elements];
};
// Lane l has the half l / 16 of row l % 16.
template <>
struct fragment<accumulator, 16, 16, 16, float, void> {
  static constexpr int num_elements = 8;
  float x[num_elements];
};

template <typename Layout>
using FactorA = fragment<matrix_a, 16, 16, 16, __nv_bfloat16, Layout>;
template <typename Layout>
using FactorB = fragment<matrix_b, 16, 16, 16, __nv_bfloat16, Layout>;
using Accumulator = fragment<accumulator, 16, 16, 16, float>;

namespace detail {

inline unsigned lane() { return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32; }

// What a device asks of a matrix in memory: 32 bytes' alignment, rows that are whole multiples of 16 bytes.
template <typename T>
void check_matrix(const T* matrix, unsigned stride) {
  if (reinterpret_cast<std::uintptr_t>(matrix) % 32 != 0) {
    csreft::emulation::fault_thread("WMMA: a matrix that is not aligned to 32 bytes");
  }
  if (stride * sizeof(T) % 16 != 0) {
    csreft::emulation::fault_thread("WMMA: rows or columns that are not multiples of 16 bytes apart");
  }
}

inline void meet(const char* name, const std::source_location& where) {
  csreft::emulation::with_whole_warp(name, nullptr, nullptr, where);
}

}  // namespace detail

template <typename Fragment, typename T>
void fill_fragment(Fragment& fragment, T value) {
  for (auto& x : fragment.x) x = value;
}

template <typename Use, typename Layout>
void load_matrix_sync(fragment<Use, 16, 16, 16, __nv_bfloat16, Layout>& out, const __nv_bfloat16* matrix,
                      unsigned stride, std::source_location where = std::source_location::current()) {
  detail::meet("wmma::load_matrix_sync", where);
  detail::check_matrix(matrix, stride);
  constexpr bool along = std::is_same_v<Use, matrix_a> == std::is_same_v<Layout, row_major>;
  const unsigned line = detail::lane() % 16;
  for (unsigned i = 0; i < 16; ++i) out.x[i] = matrix[along ? line * stride + i : i * stride + line];
}

inline void load_matrix_sync(Accumulator& out, const float* matrix, unsigned stride, layout_t layout,
                             std::source_location where = std::source_location::current()) {
  detail::meet("wmma::load_matrix_sync", where);
  detail::check_matrix(matrix, stride);
  const unsigned row = detail::lane() % 16, begin = detail::lane() / 16 * 8;
  for (unsigned i = 0; i < 8; ++i) {
    out.x[i] = matrix[layout == mem_row_major ? row * stride + begin + i : (begin + i) * stride + row];
  }
}

inline void store_matrix_sync(float* matrix, const Accumulator& in, unsigned stride, layout_t layout,
                              std::source_location where = std::source_location::current()) {
  detail::meet("wmma::store_matrix_sync", where);
  detail::check_matrix(matrix, stride);
  const unsigned row = detail::lane() % 16, begin = detail::lane() / 16 * 8;
  for (unsigned i = 0; i < 8; ++i) {
    matrix[layout == mem_row_major ? row * stride + begin + i : (begin + i) * stride + row] = in.x[i];
  }
}

// d = a b + c: products exact, summed in f32.
template <typename LayoutA, typename LayoutB>
void mma_sync(Accumulator& d, const FactorA<LayoutA>& a, const FactorB<LayoutB>& b, const Accumulator& c,
              std::source_location where = std::source_location::current()) {
  struct Lane {
    const __nv_bfloat16 *a, *b;
    const float* c;
    float d[8];
  } lane{a.x, b.x, c.x, {}};
  csreft::emulation::with_whole_warp(
      "wmma::mma_sync", &lane,
      [](void* const* lanes) {
        float left[16][16], right[16][16];  // right: B's columns
        for (unsigned i = 0; i < 16; ++i) {
          const auto& from = *static_cast<const Lane*>(lanes[i]);
          for (unsigned j = 0; j < 16; ++j) {
            left[i][j] = from.a[j];
            right[j][i] = from.b[j];
          }
        }
        for (unsigned l = 0; l < 32; ++l) {
          auto& to = *static_cast<Lane*>(lanes[l]);
          const unsigned row = l % 16, begin = l / 16 * 8;
          float sum[8] = {};
          for (unsigned j = 0; j < 16; ++j) {
            for (unsigned i = 0; i < 8; ++i) sum[i] += left[row][j] * right[j][begin + i];
          }
          for (unsigned i = 0; i < 8; ++i) to.d[i] = to.c[i] + sum[i];
        }
      },
      where);
  for (unsigned i = 0; i < 8; ++i) d.x[i] = lane.d[i];
}

}  // namespace nvcuda::wmma
