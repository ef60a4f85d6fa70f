// Sums down the columns of a matrix, in an order that never changes.
#pragma once

#include "core/cuda/grid.cuh"

namespace csreft::cuda {

inline constexpr unsigned column_tile = 32, column_lanes = 8;

template <typename T>
using ColumnTile = T[column_lanes][column_tile];

// y[j] = sum over rows i of f(i, j): lane `threadIdx.y` adds every eighth row, then the lanes are added in order.
template <typename F, typename T>
__global__ void sum_columns_kernel(F f, std::int64_t rows, std::int64_t columns, T* y) {
  CSREFT_SHARED(ColumnTile<T>, partial);
  const std::int64_t column = std::int64_t{blockIdx.x} * column_tile + threadIdx.x;
  T sum = 0;
  if (column < columns) {
    for (std::int64_t row = threadIdx.y; row < rows; row += column_lanes) sum += f(row, column);
  }
  partial[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || column >= columns) return;
  for (unsigned lane = 1; lane < column_lanes; ++lane) sum += partial[lane][threadIdx.x];
  y[column] = sum;
}

template <typename F, typename T>
void sum_columns(const Context& device, std::int64_t rows, std::int64_t columns, F f, T* y) {
  if (columns == 0) return;
  launch(sum_columns_kernel<F, T>, dim3(static_cast<unsigned>((columns + column_tile - 1) / column_tile)),
         dim3(column_tile, column_lanes), 0, device.stream, f, rows, columns, y);
}

}  // namespace csreft::cuda
