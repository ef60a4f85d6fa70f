// Between the two thin products of a low-rank edit: offsets, and the gates of stacked subspaces.
#include <numeric>

#include "core/cuda/columns.cuh"
#include "core/cuda/ops.h"
#include "core/cuda/reduce.cuh"

namespace csreft::cuda {
namespace {

template <typename T>
struct Gate {
  const T *b, *alpha;  // null where there is none
  const std::int32_t* example;
  T *u, *gated;
  std::int64_t q, k, r;
  __device__ void operator()(std::int64_t i) const {
    T value = u[i];
    if (b != nullptr) u[i] = value += b[i % q];
    if (alpha != nullptr) gated[i] = alpha[example[i / q] * k + i % q / r] * value;
  }
};

// Example e has the rows places[offsets[e]], ..., places[offsets[e + 1] - 1].
template <typename T>
struct GateBackward {
  const T *c, *u, *alpha;
  const std::int32_t *example, *offsets, *places;
  T *gated_c, *db, *dalpha;
  std::int64_t n, q, k, r, gates;
};

// Gate (e, j): its dalpha, and gated_c in the rows of example e and the columns of block j.
template <typename T>
__device__ void differentiate_gate(const GateBackward<T>& x, std::int64_t gate, double* scratch) {
  const std::int64_t e = gate / x.k, j = gate % x.k, begin = x.offsets[e], count = (x.offsets[e + 1] - begin) * x.r;
  const T alpha = x.alpha[gate];
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    const std::int64_t at = x.places[begin + i / x.r] * x.q + j * x.r + i % x.r;
    sum += static_cast<double>(x.c[at] * x.u[at]);
    x.gated_c[at] = alpha * x.c[at];
  }
  sum = reduce_block(sum, scratch, Add{});
  if (threadIdx.x == 0) x.dalpha[gate] = static_cast<T>(sum);
}

// db of column_tile columns from `first` on, which does not wait for gated_c: each warp adds every eighth row.
template <typename T>
__device__ void sum_offsets(const GateBackward<T>& x, std::int64_t first, ColumnTile<T>& partial) {
  const unsigned lane = threadIdx.x / column_tile, place = threadIdx.x % column_tile;
  const std::int64_t column = first + place;
  T sum = 0;
  if (column < x.q) {
    for (std::int64_t row = lane; row < x.n; row += column_lanes) {
      sum += x.alpha[x.example[row] * x.k + column / x.r] * x.c[row * x.q + column];
    }
  }
  partial[lane][place] = sum;
  __syncthreads();
  if (lane != 0 || column >= x.q) return;
  for (unsigned i = 1; i < column_lanes; ++i) sum += partial[i][place];
  x.db[column] = sum;
}

// The first blocks have a gate each, the others columns of db.
template <typename T>
__global__ void gate_backward_kernel(const GateBackward<T> x) {
  CSREFT_SHARED(WarpValues<double>, scratch);
  CSREFT_SHARED(ColumnTile<T>, partial);
  if (blockIdx.x < x.gates) {
    differentiate_gate(x, blockIdx.x, scratch);
  } else {
    sum_offsets(x, (blockIdx.x - x.gates) * column_tile, partial);
  }
}

// For each of s examples where its rows begin in the list that follows, the end of it, and that list of rows.
std::vector<std::int32_t> rows_of_examples(std::span<const std::int32_t> example, std::int64_t s) {
  const auto offsets = static_cast<std::size_t>(s) + 1;
  std::vector<std::int32_t> list(offsets + example.size());
  for (const auto e : example) ++list[static_cast<std::size_t>(e) + 1];
  std::partial_sum(list.begin(), list.begin() + s + 1, list.begin());
  std::vector<std::int32_t> next(list.begin(), list.begin() + s);
  for (std::size_t row = 0; row < example.size(); ++row) {
    const auto place = static_cast<std::size_t>(next[static_cast<std::size_t>(example[row])]++);
    list[offsets + place] = static_cast<std::int32_t>(row);
  }
  return list;
}

}  // namespace

void low_rank_gate(const Tensor& b, const Tensor& alpha, const Tensor& example, const Tensor& u, const Tensor& gated) {
  if (u.numel() == 0) return;
  Context& device = context(u);
  const std::int64_t q = u.cols(), k = alpha.defined() ? alpha.cols() : 1;
  const auto* of = alpha.defined() ? upload(device, example) : nullptr;
  visit_real(u.dtype(), "low_rank_gate", [&]<typename T>(T) {
    for_elements(
        device, u.numel(),
        Gate<T>{b.defined() ? elements<const T>(b) : nullptr, alpha.defined() ? elements<const T>(alpha) : nullptr, of,
                elements<T>(u), elements<T>(gated), q, k, q / k});
  });
}

void low_rank_gate_backward(const Tensor& c, const Tensor& u, const Tensor& alpha, const Tensor& example,
                            const Tensor& gated_c, const Tensor& db, const Tensor& dalpha) {
  const std::int64_t q = u.cols(), k = alpha.cols(), gates = dalpha.numel();
  const std::int64_t blocks = gates + (q + column_tile - 1) / column_tile;
  if (blocks == 0) return;
  Context& device = context(u);
  const auto* of = upload(device, example);
  const std::vector<std::int32_t> list = rows_of_examples(example.span<std::int32_t>(), alpha.rows());
  const auto* offsets = upload(device, std::span<const std::int32_t>(list));
  visit_real(u.dtype(), "low_rank_gate_backward", [&]<typename T>(T) {
    launch(gate_backward_kernel<T>, row_grid(blocks), dim3(block_threads), 0, device.stream,
           GateBackward<T>{elements<const T>(c), elements<const T>(u), elements<const T>(alpha), of, offsets,
                           offsets + alpha.rows() + 1, elements<T>(gated_c), elements<T>(db), elements<T>(dalpha),
                           u.rows(), q, k, q / k, gates});
  });
}

}  // namespace csreft::cuda
